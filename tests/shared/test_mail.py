"""Mail is handed to a real server, in the clear only where that is wanted."""

import contextlib
import email
import socket
import ssl
import subprocess
from dataclasses import replace

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from shared.config import Settings
from shared.errors import MailRefused, Unavailable
from shared.mail import send_mail
from tests.shared.test_config import REQUIRED


class Server:
    """A server that keeps what it is given, and refuses some addresses."""

    def __init__(self):
        self.mails = []

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        answers = {"nobody@example.org": "550 no such user", "later@example.org": "451 come back later"}
        if address not in answers:
            envelope.rcpt_tos.append(address)
        return answers.get(address, "250 OK")

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, email.message_from_bytes(envelope.content)))
        return "250 OK"


@contextlib.contextmanager
def serving(**options):
    server = Server()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(server, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield (
            server,
            replace(
                Settings.from_environment(REQUIRED),
                smtp_host="localhost",
                smtp_port=port,
                smtp_tls="none",
                smtp_sender="DSS <dss@example.org>",
            ),
        )
    finally:
        controller.stop()


@pytest.fixture
def server():
    with serving() as found:
        yield found


def test_a_mail_comes_as_it_was_written(server):
    kept, settings = server
    send_mail(settings, "ada@example.org", "Done: ü", "It is at\ns3://b/k\n", message_id="one")
    [(sender, to, mail)] = kept.mails
    assert (sender, to) == ("dss@example.org", ["ada@example.org"])
    assert str(email.header.make_header(email.header.decode_header(mail["Subject"]))) == "Done: ü"
    assert mail["Message-ID"] == "<one@example.org>"
    assert mail.get_payload(decode=True).decode().splitlines() == ["It is at", "s3://b/k"]
    assert mail["Date"]


@pytest.mark.parametrize("address", ["nobody@example.org", "ü@example.org"])
def test_an_address_that_nobody_has_is_refused(address):
    with serving(enable_SMTPUTF8=False) as (kept, settings):
        refuse(kept, settings, address)


def refuse(kept, settings, address):
    with pytest.raises(MailRefused):
        send_mail(settings, address, "s", "t", message_id="one")
    assert kept.mails == []


def test_what_may_go_later_is_distinguished(server):
    kept, settings = server
    with pytest.raises(Unavailable, match="451"):
        send_mail(settings, "later@example.org", "s", "t", message_id="one")
    with pytest.raises(Unavailable):
        send_mail(replace(settings, smtp_port=9), "ada@example.org", "s", "t", message_id="one")
    assert kept.mails == []


def test_no_mail_and_no_password_goes_in_the_clear_where_tls_is_wanted(server):
    kept, settings = server
    with pytest.raises(Unavailable, match="TLS"):
        send_mail(replace(settings, smtp_tls="starttls"), "a@example.org", "s", "t", message_id="one")
    with pytest.raises(Unavailable):
        send_mail(replace(settings, smtp_tls="tls"), "a@example.org", "s", "t", message_id="one")
    assert kept.mails == []


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """A certificate of `localhost` that this process trusts."""
    key, found = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(found)),
        ],
        check=True,
        capture_output=True,
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(found))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(found, key)
    return context


def test_who_signs_in_does_so_under_tls(certificate):
    def authenticate(*asked):
        data = asked[-1]
        return AuthResult(handled=False, success=(data.login, data.password) == (b"dss", b"secret"))

    with serving(tls_context=certificate, authenticator=authenticate, auth_required=True) as (kept, plain):
        settings = replace(plain, smtp_tls="starttls", smtp_user="dss", smtp_password="secret")
        send_mail(settings, "a@example.org", "s", "t", message_id="one")
        assert len(kept.mails) == 1
        with pytest.raises(Unavailable, match="535"):
            send_mail(replace(settings, smtp_password="wrong"), "a@example.org", "s", "t", message_id="one")
    assert len(kept.mails) == 1


@pytest.mark.parametrize(
    "wrong",
    [{"DSS_SMTP_HOST": "mail.example.org"}, {"DSS_SMTP_TLS": "perhaps"}, {"DSS_MAILS_A_DAY": "0"}],
    ids=["sender", "tls", "a day"],
)
def test_settings_that_cannot_work_are_refused(wrong):
    with pytest.raises(ValueError, match=r"DSS_(SMTP|MAILS)"):
        Settings.from_environment({**REQUIRED, **wrong})
