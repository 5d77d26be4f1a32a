"""A verified token is known for a minute: not beyond its expiry, nor when its key is withdrawn."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest

from run.api.verified_tokens import Verified, VerifiedTokens
from shared.access import Principal
from tests.run.api.test_key_sets import _KEYS

WHO = Principal(email="a@example.org", issuer="i")
LEEWAY = 30


@dataclass
class OneIssuer:
    """An issuer with some keys by id, which counts how often it is asked for one."""

    keys: dict[str, jwt.PyJWK]
    audiences: tuple[str, ...] = ("a",)
    asked: list[str] = field(default_factory=list)

    def signs(self, claims: Mapping[str, Any]) -> bool:
        return True

    def key(self, claims: Mapping[str, Any], key_id: str, client: str) -> jwt.PyJWK:
        self.asked.append(client)
        try:
            return self.keys[key_id]
        except KeyError:
            raise jwt.InvalidKeyError("no such key") from None

    def identity(self, claims: Mapping[str, Any]) -> Principal:
        return WHO


@dataclass
class Time:
    """A moment, of both clocks."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds


def new_key() -> jwt.PyJWK:
    return jwt.PyJWK(_KEYS["keys"][0])


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def tokens(time: Time) -> VerifiedTokens:
    return VerifiedTokens(leeway=LEEWAY, most=3, monotonic=time, now=time)


@pytest.fixture
def issuer() -> OneIssuer:
    return OneIssuer({"1": new_key()})


def verified(issuer: OneIssuer, *, exp: float = 2**33) -> Verified:
    return Verified(who=WHO, issuer=issuer, claims={"exp": exp}, key_id="1", key=issuer.keys["1"])


def test_a_verified_token_is_known_for_a_minute(
    tokens: VerifiedTokens, issuer: OneIssuer, time: Time
) -> None:
    tokens.remember("t", verified(issuer))

    assert tokens.find("t", "1.2.3.4") is WHO
    assert tokens.find("u", "1.2.3.4") is None
    time.seconds += 59
    assert tokens.find("t", "1.2.3.4") is WHO
    time.seconds += 1
    assert tokens.find("t", "1.2.3.4") is None


def test_an_expired_token_is_not_known(tokens: VerifiedTokens, issuer: OneIssuer, time: Time) -> None:
    tokens.remember("t", verified(issuer, exp=time.seconds + 5))

    time.seconds += 5 + LEEWAY - 1
    assert tokens.find("t", "") is WHO
    time.seconds += 1
    assert tokens.find("t", "") is None


def test_a_key_that_is_withdrawn_or_replaced_counts_at_once(
    tokens: VerifiedTokens, issuer: OneIssuer
) -> None:
    tokens.remember("t", verified(issuer))

    issuer.keys["1"] = new_key()
    assert tokens.find("t", "1.2.3.4") is None
    del issuer.keys["1"]
    with pytest.raises(jwt.PyJWTError):
        tokens.find("t", "1.2.3.4")
    assert issuer.asked == ["1.2.3.4"] * 2


def test_few_tokens_are_remembered_those_verified_last(tokens: VerifiedTokens, issuer: OneIssuer) -> None:
    for token in "abcad":
        tokens.remember(token, verified(issuer))

    assert [token for token in "abcd" if tokens.find(token, "")] == ["a", "c", "d"]


def test_no_token_is_kept(tokens: VerifiedTokens, issuer: OneIssuer) -> None:
    tokens.remember("secret token", verified(issuer))

    assert "secret token" not in repr(vars(tokens))
