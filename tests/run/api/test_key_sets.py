"""Keys of issuers are fetched for those who exist; forged tokens cause few requests."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest import mock

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from run.api.auth import Authenticator
from run.api.key_sets import KeySet
from run.api.lookup_limit import MOST_OF_CLIENT
from shared.errors import DssError, Forbidden, TooManyLookups, Unauthorized, Unavailable
from tests.run.api.test_errors import SETTINGS
from tests.support.server_threads import in_thread

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
KNOWN = "known@p.iam.gserviceaccount.com"


class KeyServer(ThreadingHTTPServer):
    """Publishes the key of the issuer and of one account; counts what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: KeyServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        answers = {
            "/.well-known/openid-configuration": {"jwks_uri": f"{self.server.url}/keys"},
            "/of-no-key/.well-known/openid-configuration": {"jwks_uri": f"{self.server.url}/no-keys"},
            "/no-keys": {"keys": []},
            "/keys": _KEYS,
            f"/accounts/{KNOWN}": _KEYS,
        }
        body = json.dumps(answers.get(self.path, {})).encode()
        self.send_response(200 if self.path in answers else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Write nothing."""


_JWK = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key()))
_KEYS = {"keys": [{**_JWK, "kid": "1", "alg": "RS256", "use": "sig"}]}


@pytest.fixture
def server() -> Iterator[KeyServer]:
    running = KeyServer()
    with in_thread(running):
        yield running


@pytest.fixture
def sign_in(server: KeyServer) -> Callable[..., str]:
    """Return what signs in with claims and a key id, and returns the caller's e-mail."""
    settings = dataclasses.replace(
        SETTINGS,
        oidc_issuer=server.url,
        trusted_projects=("p",),
        service_account_jwks_url=f"{server.url}/accounts/{{email}}",
    )
    authenticator = Authenticator(settings)

    def sign_in(key_id: str = "1", **claims: Any) -> str:
        payload = {"aud": "a", "exp": 2**33, **claims}
        token = jwt.encode(payload, KEY, "RS256", headers={"kid": key_id})
        return authenticator.caller(f"Bearer {token}").email

    return sign_in


def account(number: int) -> dict[str, str]:
    """Return the claims of an account that does not exist."""
    name = f"invented-{number}@p.iam.gserviceaccount.com"
    return {"iss": name, "sub": name, "email": name}


def test_forged_tokens_of_the_issuer_cause_two_requests(
    server: KeyServer, sign_in: Callable[..., str]
) -> None:
    for number in range(200):
        with pytest.raises(Unauthorized):
            sign_in(f"key-{number}", iss=server.url + "/" * (number % 50), email="a@example.org")
    assert server.asked == ["/.well-known/openid-configuration", "/keys"]


def test_invented_accounts_cause_few_requests(server: KeyServer, sign_in: Callable[..., str]) -> None:
    errors: list[type[DssError]] = []
    for number in range(600):
        with pytest.raises(DssError) as raised:
            sign_in(**account(number % 300))
        errors.append(raised.type)
    assert len(server.asked) == MOST_OF_CLIENT
    assert errors.count(Unauthorized) == 2 * MOST_OF_CLIENT
    assert errors.count(TooManyLookups) == 600 - 2 * MOST_OF_CLIENT


def test_accounts_that_have_signed_in_are_known(server: KeyServer, sign_in: Callable[..., str]) -> None:
    claims = {"iss": KNOWN, "sub": KNOWN}
    assert sign_in(**claims) == KNOWN
    for number in range(MOST_OF_CLIENT + 5):
        with pytest.raises((Unauthorized, Unavailable)):
            sign_in(**account(number))
    assert sign_in(**claims) == KNOWN
    assert server.asked.count(f"/accounts/{KNOWN}") == 1


def test_accounts_of_other_projects_cause_no_request(server: KeyServer, sign_in: Callable[..., str]) -> None:
    name = "a@q.iam.gserviceaccount.com"
    with pytest.raises(Forbidden):
        sign_in(iss=name, sub=name, email=name)
    assert server.asked == []


@pytest.mark.parametrize("issuer", ["/of-no-configuration", "/of-no-key"])
def test_an_issuer_that_does_not_answer_is_left_alone_for_a_while(server: KeyServer, issuer: str) -> None:
    keys = KeySet(discover=server.url + issuer)
    for number in range(50):
        with pytest.raises(Unavailable):
            keys.key(str(number))
    assert server.asked.count(f"{issuer}/.well-known/openid-configuration") == 1


def test_a_good_key_is_not_waited_for_while_that_of_a_forged_token_is_looked_for(server: KeyServer) -> None:
    keys = KeySet(url=f"{server.url}/keys")
    keys.key("1")
    with ThreadPoolExecutor(1) as threads, keys._lock:
        assert threads.submit(keys.key, "1").result(timeout=10).key_id == "1"


def test_a_token_is_verified_once(sign_in: Callable[..., str], server: KeyServer) -> None:
    claims = {"iss": server.url, "email": "a@example.org"}
    with mock.patch("run.api.auth.jwt.decode", wraps=jwt.decode) as decode:
        assert {sign_in(**claims) for _ in range(3)} == {"a@example.org"}
        # Its claims are read to find the issuer, and again when the signature is checked.
        assert decode.call_count == 2
        with pytest.raises(Unauthorized):
            sign_in(**claims, exp=1)
