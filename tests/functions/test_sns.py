"""Only what SNS has signed is believed."""

import base64
import datetime
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from functions.sns import SigningKeys, is_sns_url, verify
from shared.errors import DssError, Forbidden, Unavailable

URL = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"


def certificate(key: Any) -> bytes:
    """Return a certificate of a key, signed with itself."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM)


@dataclass
class Sns:
    """A signer, and what fetches its certificate."""

    key: rsa.RSAPrivateKey
    fetched: int = 0

    def fetch(self, url: str) -> bytes:
        assert url == URL
        self.fetched += 1
        return certificate(self.key)

    def signed(self, message: dict[str, Any], version: str = "2") -> dict[str, Any]:
        """Return a message as SNS sends it: signed as Amazon's documentation says."""
        names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        if message["Type"] == "Notification":
            names = [name for name in names if name not in ("SubscribeURL", "Token")]
        text = "".join(f"{name}\n{message[name]}\n" for name in names if name in message)
        algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()
        signature = self.key.sign(text.encode(), padding.PKCS1v15(), algorithm)
        return {
            **message,
            "SignatureVersion": version,
            "Signature": base64.b64encode(signature).decode(),
            "SigningCertURL": URL,
        }


@pytest.fixture(scope="module")
def sns() -> Sns:
    return Sns(rsa.generate_private_key(65537, 2048))


NOTIFICATION = {
    "Type": "Notification",
    "MessageId": "1",
    "TopicArn": "arn:aws:sns:us-east-1:123456789012:topic",
    "Message": "naïve\n漢字",
    "Timestamp": "2026-01-01T00:00:00.000Z",
}
CONFIRMATION = {
    **NOTIFICATION,
    "Type": "SubscriptionConfirmation",
    "Token": "token",
    "SubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription",
}


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("message", [NOTIFICATION, {**NOTIFICATION, "Subject": "Amazon S3"}, CONFIRMATION])
def test_a_signed_message_is_accepted(sns: Sns, message: dict[str, Any], version: str) -> None:
    signed = sns.signed(message, version)
    verify(signed, SigningKeys(sns.fetch))

    with pytest.raises(Forbidden):
        verify({**signed, "SignatureVersion": "3"}, SigningKeys(sns.fetch))


@pytest.mark.parametrize("message", [NOTIFICATION, CONFIRMATION], ids=["notification", "confirmation"])
@pytest.mark.parametrize("field", ["Message", "MessageId", "Timestamp", "TopicArn", "Type"])
def test_a_changed_message_is_refused(sns: Sns, message: dict[str, Any], field: str) -> None:
    changed = {**sns.signed(message), field: "Notification" if field == "Type" else "other"}
    if message is NOTIFICATION and field == "Type":
        changed["Type"] = "SubscriptionConfirmation"
        changed["Token"] = "token"
    with pytest.raises(Forbidden):
        verify(changed, SigningKeys(sns.fetch))


def test_an_added_subject_is_refused(sns: Sns) -> None:
    with pytest.raises(Forbidden):
        verify({**sns.signed(NOTIFICATION), "Subject": "other"}, SigningKeys(sns.fetch))


@pytest.mark.parametrize("field", ["SubscribeURL", "Token"])
def test_a_changed_confirmation_is_refused(sns: Sns, field: str) -> None:
    with pytest.raises(Forbidden):
        verify({**sns.signed(CONFIRMATION), field: "other"}, SigningKeys(sns.fetch))


@pytest.mark.parametrize(
    "changes",
    [
        {"Signature": ""},
        {"Signature": "%"},
        {"Signature": None},
        {"Signature": 5},
        {"SignatureVersion": "3"},
        {"SignatureVersion": None},
        {"SigningCertURL": None},
        {"SigningCertURL": []},
        {"Message": "\ud800"},
        {"Message": {"a": 1}},
    ],
    ids=str,
)
def test_a_wrong_signature_is_refused(sns: Sns, changes: dict[str, Any]) -> None:
    with pytest.raises(Forbidden):
        verify({**sns.signed(NOTIFICATION), **changes}, SigningKeys(sns.fetch))


@pytest.mark.parametrize(
    "url",
    [
        URL.replace("https", "http"),
        URL.replace("amazonaws.com", "amazonaws.com.evil.org"),
        URL.replace("sns.", "evil.org/sns."),
        URL.replace("sns.", "user@sns."),
        URL.replace("amazonaws.com", "amazonaws.com:444"),
        URL.replace("sns.us-east-1", "s3.us-east-1"),
        URL.replace("amazonaws.com", "amazonaws.com@evil.org"),
        # Buckets of anybody.
        *(
            URL.replace("sns.us-east-1", host)
            for host in ("sns.s3", "sns.s3-us-west-2", "sns.s3-website-us-east-1")
        ),
        # Another region than the topic's.
        URL.replace("us-east-1", "eu-west-1"),
        # Hosts of SNS also answer with what anybody has written.
        "https://sns.us-east-1.amazonaws.com/?Action=ListTopics",
        URL + "?Action=ListTopics",
        URL + "#fragment",
        URL.replace("/Simple", "/path/Simple"),
        "https://[",
        "",
    ],
)
def test_certificates_come_from_sns_only(sns: Sns, url: str) -> None:
    with pytest.raises(Forbidden):
        verify({**sns.signed(NOTIFICATION), "SigningCertURL": url}, SigningKeys(sns.fetch))


def test_a_certificate_is_fetched_once(sns: Sns) -> None:
    keys, before = SigningKeys(sns.fetch), sns.fetched
    for _ in range(3):
        verify(sns.signed(NOTIFICATION), keys)
    assert sns.fetched == before + 1


def test_a_certificate_that_cannot_be_fetched_is_fetched_again(sns: Sns) -> None:
    answers: list[Any] = [Unavailable("busy"), b"<html>", certificate(sns.key)]

    def fetch(_: str) -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, DssError):
            raise answer
        return bytes(answer)

    keys = SigningKeys(fetch)
    for _ in range(2):
        with pytest.raises(Unavailable):
            verify(sns.signed(NOTIFICATION), keys)
    verify(sns.signed(NOTIFICATION), keys)


def test_a_certificate_that_is_known_still_belongs_to_its_region(sns: Sns) -> None:
    keys = SigningKeys(sns.fetch)
    verify(sns.signed(NOTIFICATION), keys)
    with pytest.raises(Forbidden, match="SigningCertURL"):
        verify(sns.signed({**NOTIFICATION, "TopicArn": "arn:aws:sns:eu-west-1:123456789012:topic"}), keys)


def test_a_key_of_another_kind_is_refused(sns: Sns) -> None:
    keys = SigningKeys(lambda _: certificate(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(Forbidden):
        verify(sns.signed(NOTIFICATION), keys)


@pytest.mark.parametrize(
    ("topic", "host"),
    [
        ("arn:aws:sns:us-east-1:123456789012:topic", "sns.us-east-1.amazonaws.com"),
        ("arn:aws-cn:sns:cn-north-1:123456789012:topic", "sns.cn-north-1.amazonaws.com.cn"),
        ("arn:aws-us-gov:sns:us-gov-west-1:123456789012:topic", "sns.us-gov-west-1.amazonaws.com"),
    ],
)
def test_the_host_is_that_of_the_topics_region(topic: str, host: str) -> None:
    assert is_sns_url(f"https://{host}/?Action=ConfirmSubscription", topic)
    for other in (
        "sns.eu-west-1.amazonaws.com",
        f"{host}.evil.org",
        f"{host}:443",
        f"a@{host}",
        host.upper(),
    ):
        assert not is_sns_url(f"https://{other}/", topic)
    assert not is_sns_url(f"http://{host}/", topic)


@pytest.mark.parametrize("topic", ["", "None", "arn:aws:sns:s3:1:t", "arn:aws:sns:a.b:123456789012:t", "x"])
def test_a_topic_that_is_not_an_arn_has_no_host(topic: str) -> None:
    with pytest.raises(Forbidden, match="is not the ARN"):
        is_sns_url(URL, topic)
