"""Signatures of SNS: check that a message is from Amazon."""

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from shared.errors import Forbidden, Unavailable

# arn:PARTITION:sns:REGION:ACCOUNT:TOPIC
_TOPIC_ARN = re.compile(
    r"arn:(?P<partition>aws|aws-cn|aws-us-gov):sns:(?P<region>[a-z0-9-]+):[0-9]{12}:[^:]+"
)
# Other URLs of these hosts may return content that others have written.
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9A-Za-z]+\.pem")
_TIMEOUT_SECONDS = 10
# The signed fields, in order (AWS: "Verifying the signatures of Amazon SNS messages").
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_HASHES = {"1": hashes.SHA1, "2": hashes.SHA256}


def host_of(topic: str) -> str:
    """Return the host of SNS that serves a topic, given its ARN: that of the topic's region.

    A pattern would not do: `sns.s3.amazonaws.com` is somebody's bucket. Raises Forbidden if it is not an ARN.
    """
    arn = _TOPIC_ARN.fullmatch(topic)
    if arn is None:
        raise Forbidden(f"TopicArn: {topic[:200]!r} is not the ARN of an SNS topic")
    return f"sns.{arn['region']}.amazonaws.com" + (".cn" if arn["partition"] == "aws-cn" else "")


def is_sns_url(url: str, topic: str) -> bool:
    """Return whether a URL is one of SNS: https, and exactly the host of the topic's region."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" and parts.netloc == host_of(topic)


def _is_certificate_url(url: str, topic: str) -> bool:
    if not is_sns_url(url, topic):
        return False
    parts = urlsplit(url)
    return bool(_CERTIFICATE.fullmatch(parts.path)) and not parts.query and not parts.fragment


def get(url: str) -> bytes:
    """Return the content of a URL of SNS, without redirects. Raises Unavailable if it fails."""
    try:
        answer = requests.get(url, timeout=_TIMEOUT_SECONDS, allow_redirects=False)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise Unavailable(f"{urlsplit(url).netloc}: {type(error).__name__}") from error
    if answer.status_code != 200:
        raise Unavailable(f"{urlsplit(url).netloc}: it answered {answer.status_code}")
    return answer.content


class SigningKeys:
    """The public keys of SNS, by the URLs of their certificates; each is fetched once."""

    def __init__(self, fetch: Callable[[str], bytes] = get) -> None:
        self._fetch = fetch
        # No lock: two threads may fetch the same key, but a slow answer delays nobody else.
        self._keys: dict[str, rsa.RSAPublicKey] = {}

    def key(self, url: str, topic: str) -> rsa.RSAPublicKey:
        """Return the key at a URL, for messages of a topic.

        Raises Forbidden if the URL is not of a certificate in the topic's region, Unavailable if it fails.
        """
        if not _is_certificate_url(url, topic):
            raise Forbidden(f"SigningCertURL: {url[:200]!r} is not the URL of a certificate of SNS")
        if url not in self._keys:
            try:
                key = x509.load_pem_x509_certificate(self._fetch(url)).public_key()
            except ValueError as error:
                raise Unavailable(f"{url[:200]}: the content is not a certificate") from error
            if not isinstance(key, rsa.RSAPublicKey):
                raise Forbidden("SigningCertURL: the certificate has no RSA key")
            self._keys[url] = key
        return self._keys[url]


def verify(message: dict[str, Any], keys: SigningKeys) -> None:
    """Return if SNS has signed the message. Raises Forbidden otherwise."""
    algorithm = _HASHES.get(str(message.get("SignatureVersion")))
    if algorithm is None:
        raise Forbidden("SignatureVersion: must be 1 or 2")
    names = _NOTIFICATION if message.get("Type") == "Notification" else _CONFIRMATION
    signed = "".join(f"{name}\n{message[name]}\n" for name in names if message.get(name) is not None)
    try:
        signature = base64.b64decode(str(message.get("Signature", "")), validate=True)
        keys.key(str(message.get("SigningCertURL", "")), str(message.get("TopicArn"))).verify(
            signature, signed.encode(), padding.PKCS1v15(), algorithm()
        )
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise Forbidden("Signature: SNS has not signed this message") from error
