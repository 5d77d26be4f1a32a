"""Request tokens from the local issuer: good, expired, of another group, audience or issuer."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from local.probes import ask


def request_token(
    env: Mapping[str, str],
    email: str,
    group: str | Sequence[str] | None = None,
    *,
    kind: str = "own",
    ttl: int | None = None,
    foreign_key: bool = False,
    **claims: Any,
) -> str:
    """Return a token for `email` from the issuer of the running stack that `env` describes.

    `kind` is one of local/issuer/kinds.py; of an opaque token the claims are what is said of it.
    `ttl` is in seconds; if negative, the token has expired. `foreign_key` signs it by a key that the issuer
    doesn't publish. Any other argument replaces the claim of its name (`aud="x"`, `iss="x"`); None removes
    it. Raises ValueError if the issuer rejects the request, NotReady if it doesn't answer.
    """
    fields: dict[str, Any] = {
        "kind": kind,
        "email": email,
        "claims": claims,
        "foreign_key": foreign_key,
    }
    if group is not None:
        fields["group"] = group if isinstance(group, str) else list(group)
    if ttl is not None:
        fields["ttl"] = ttl
    status, answer = ask(
        env["DSS_LOCAL_TOKEN_URL"],
        method="POST",
        body=json.dumps(fields).encode(),
        content_type="application/json",
        seconds=30,
    )
    if status != 200:
        raise ValueError(f"{status} {answer.decode(errors='replace')}")
    token: str = json.loads(answer)["access_token"]
    return token
