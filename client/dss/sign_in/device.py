"""The device authorization grant: sign in with the browser of another machine (RFC 8628)."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dss.errors import SignInFailed, Unreachable
from dss.sign_in.pkce import denial, scopes
from dss.sign_in.provider import Provider, Refused, post
from dss.sign_in.registration import Registration

_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
# Seconds: a provider that says nothing, or too much, is asked so often and so long.
_INTERVAL, _LONGEST_INTERVAL = 5.0, 60.0
_LONGEST = 1800.0


@dataclass(frozen=True, kw_only=True)
class DeviceCode:
    """What a person enters where; valid for `seconds`."""

    device_code: str
    user_code: str
    address: str
    complete_address: str | None
    seconds: float
    interval: float


def request_code(provider: Provider, registration: Registration) -> DeviceCode:
    """Return a new code. Raises Refused if the issuer gives this client none, and Unreachable."""
    audience = registration.audience if registration.token_type == "access_token" else None
    answer = post(
        str(provider.device_authorization_endpoint),
        {
            "client_id": registration.client_id,
            "scope": scopes(provider, registration),
            "audience": audience,
        },
    )
    # Google still says verification_url, as drafts did.
    address = answer.get("verification_uri") or answer.get("verification_url")
    if not all(
        isinstance(text, str) for text in (answer.get("device_code"), answer.get("user_code"), address)
    ):
        raise SignInFailed(f"{provider.issuer} gave no device code: {sorted(answer)}")
    return DeviceCode(
        device_code=answer["device_code"],
        user_code=answer["user_code"],
        address=str(address),
        complete_address=answer.get("verification_uri_complete"),
        seconds=min(_seconds(answer.get("expires_in"), _LONGEST), _LONGEST),
        interval=min(_seconds(answer.get("interval"), _INTERVAL), _LONGEST_INTERVAL),
    )


def _seconds(value: Any, default: float) -> float:
    return float(value) if isinstance(value, int | float) and value > 0 else default


def wait_for_consent(
    provider: Provider,
    registration: Registration,
    code: DeviceCode,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Return the tokens as soon as somebody has entered the code. Raises SignInFailed if nobody does.

    An issuer that does not answer is asked again, more and more rarely, for as long as the code is valid
    (RFC 8628, 3.5): the person may be entering it.
    """
    ends, interval = time.monotonic() + code.seconds, code.interval
    why = "nobody entered it"
    fields = {
        "grant_type": _GRANT,
        "device_code": code.device_code,
        "client_id": registration.client_id,
        "client_secret": registration.client_secret,
    }
    while time.monotonic() < ends:
        sleep(interval)
        try:
            return post(provider.token_endpoint, fields)
        except Unreachable as error:
            interval, why = min(interval * 2, _LONGEST_INTERVAL), f"the issuer did not answer ({error})"
        except Refused as error:
            why = "nobody entered it"
            if error.code == "expired_token":
                break
            interval = _interval_after(error, interval)
    raise SignInFailed(f"the code has expired, and {why}; start again")


def _interval_after(error: Refused, interval: float) -> float:
    """Return the interval with which to go on. Raises SignInFailed if an answer is final."""
    if error.code == "slow_down":
        return min(interval + 5.0, _LONGEST_INTERVAL)
    if error.code == "authorization_pending":
        return interval
    if error.code == "access_denied":
        raise SignInFailed(denial({"error": error.code})) from error
    raise error
