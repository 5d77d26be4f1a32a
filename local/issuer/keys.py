"""Keys, new at every start: of the token issuer, of the signer of GCS URLs, of a user's service account."""

import datetime
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Key:
    """An RSA key, and the id under which its public half is published."""

    key_id: str
    private: rsa.RSAPrivateKey

    @classmethod
    def new(cls) -> "Key":
        """Return a new key of 2,048 bits, like Google's own."""
        return cls(secrets.token_hex(20), rsa.generate_private_key(public_exponent=65537, key_size=2048))

    @classmethod
    def read(cls, path: Path) -> "Key":
        """Return the key of a service account key file."""
        document = json.loads(path.read_text())
        private = serialization.load_pem_private_key(document["private_key"].encode(), password=None)
        assert isinstance(private, rsa.RSAPrivateKey)
        return cls(document["private_key_id"], private)

    def pem(self) -> str:
        """Return the private key as PKCS#8 PEM."""
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return self.private.private_bytes(encoding, form, serialization.NoEncryption()).decode()

    def jwk(self) -> dict[str, Any]:
        """Return the public key as JSON Web Key."""
        published: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(
            self.private.public_key(), as_dict=True
        )
        return {**published, "kid": self.key_id, "use": "sig", "alg": "RS256"}

    def certificate(self, name: str) -> str:
        """Return a PEM certificate of the public key, valid for a year; `name` can be the name of a host."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
        now = datetime.datetime.now(datetime.UTC)
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(self.private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=365))
            # The only name that clients of a server check (RFC 9110, 4.3.4).
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(self.private, hashes.SHA256())
        )
        return built.public_bytes(serialization.Encoding.PEM).decode()


def write_service_account(path: Path, key: Key, *, email: str, project: str, token_url: str) -> None:
    """Write a key file in Google Cloud's format of service accounts, readable by its owner only."""
    document = {
        "type": "service_account",
        "project_id": project,
        "private_key_id": key.key_id,
        "private_key": key.pem(),
        "client_email": email,
        "client_id": "1",
        "token_uri": token_url,
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(document, indent=2))
