"""Tokens of any kind from the local token issuer: good, expired, of another group, audience or issuer."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from local.probes import ask


def mint(
    env: Mapping[str, str],
    email: str,
    group: str | Sequence[str] | None = None,
    *,
    ttl: int | None = None,
    foreign_key: bool = False,
    **claims: Any,
) -> str:
    """Return a token of `email`, signed by the issuer of the running stack that `env` describes.

    `ttl` is in seconds; negative makes a token that has expired. `foreign_key` has it signed by a key that
    the issuer doesn't publish. Any other argument replaces the claim of its name (`aud="x"`, `iss="x"`), None
    removes it. Raises ValueError where the issuer refuses, NotReady where it is gone.
    """
    wanted: dict[str, Any] = {"email": email, "claims": claims, "foreign_key": foreign_key}
    if group is not None:
        wanted["group"] = group if isinstance(group, str) else list(group)
    if ttl is not None:
        wanted["ttl"] = ttl
    status, answer = ask(
        env["DSS_LOCAL_TOKEN_URL"],
        method="POST",
        body=json.dumps(wanted).encode(),
        content_type="application/json",
        seconds=10,
    )
    if status != 200:
        raise ValueError(f"{status} {answer.decode(errors='replace')}")
    token: str = json.loads(answer)["access_token"]
    return token
