"""Mail, by SMTP."""

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate

from shared.config import Settings
from shared.errors import MailRefused, Unavailable

# For each step of the SMTP conversation. A step of a workflow has half an hour for all of them.
_TIMEOUT_SECONDS = 30


def send_mail(settings: Settings, to: str, subject: str, text: str, *, message_id: str) -> None:
    """Hand a mail to the mail server, which delivers it after this returns.

    The same `message_id` marks the same mail, in case it is delivered twice. Raises MailRefused if the server
    will never deliver to this address, and Unavailable if another attempt may succeed.
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
        [(code, reason)] = error.recipients.values()
        answer = f"{code} {reason.decode(errors='replace') if isinstance(reason, bytes) else reason}"
        if code >= 500:
            raise MailRefused(f"the mail server refuses the address: {answer}") from error
        raise Unavailable(f"the mail server does not take the mail now: {answer}") from error
    except (smtplib.SMTPNotSupportedError, UnicodeError) as error:
        raise MailRefused(f"the mail server does not support this address: {error}") from error
    except (smtplib.SMTPException, OSError) as error:
        raise Unavailable(f"mail server {settings.smtp_host}: {error}") from error


def _connected(settings: Settings) -> smtplib.SMTP:
    address = settings.smtp_host, settings.smtp_port
    context = ssl.create_default_context()
    if settings.smtp_tls == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(*address, timeout=_TIMEOUT_SECONDS, context=context)
    else:
        server = smtplib.SMTP(*address, timeout=_TIMEOUT_SECONDS)
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
        # The server's fault, not the address's. The mail is not sent in the clear instead.
        raise Unavailable(f"the mail server offers no TLS: {error}") from error
