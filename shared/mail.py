"""Mail, by SMTP."""

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate

from shared.config import Settings
from shared.errors import MailRefused, Unavailable

# For the whole conversation each step may take so long. A step of a workflow has half an hour.
_TIMEOUT_SECONDS = 30


def send_mail(settings: Settings, to: str, subject: str, text: str, *, message_id: str) -> None:
    """Hand a mail to the mail server; it is the server's business when this returns.

    The same `message_id` again is the same mail, to whoever may get it twice. Raises MailRefused where nobody
    will ever get it at this address, and Unavailable where another attempt may succeed.
    """
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = settings.smtp_sender, to, subject
    mail["Date"] = formatdate(usegmt=True)
    mail["Message-ID"] = f"<{message_id}@{settings.smtp_sender.rpartition('@')[2].rstrip('>')}>"
    mail.set_content(text)
    try:
        with _connected(settings) as server:
            server.send_message(mail)
    except smtplib.SMTPRecipientsRefused as error:
        [(code, why)] = error.recipients.values()
        said = f"{code} {why.decode(errors='replace') if isinstance(why, bytes) else why}"
        if code >= 500:
            raise MailRefused(f"the mail server refuses the address: {said}") from error
        raise Unavailable(f"the mail server does not take the mail now: {said}") from error
    except (smtplib.SMTPNotSupportedError, UnicodeError) as error:
        raise MailRefused(f"the mail server knows no such address: {error}") from error
    except (smtplib.SMTPException, OSError) as error:
        raise Unavailable(f"mail server {settings.smtp_host}: {error}") from error


def _connected(settings: Settings) -> smtplib.SMTP:
    where = settings.smtp_host, settings.smtp_port
    context = ssl.create_default_context()
    if settings.smtp_tls == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(*where, timeout=_TIMEOUT_SECONDS, context=context)
    else:
        server = smtplib.SMTP(*where, timeout=_TIMEOUT_SECONDS)
    try:
        if settings.smtp_tls == "starttls":
            _start_tls(server, context)
        if settings.smtp_user:
            server.login(settings.smtp_user, settings.smtp_password)
    except BaseException:
        server.close()
        raise
    return server


def _start_tls(server: smtplib.SMTP, context: ssl.SSLContext) -> None:
    try:
        server.starttls(context=context)
    except smtplib.SMTPNotSupportedError as error:
        # Of the server, and not of somebody's address: nothing is sent in the clear instead.
        raise Unavailable(f"the mail server offers no TLS: {error}") from error
