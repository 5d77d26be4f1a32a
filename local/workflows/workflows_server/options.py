"""What an execution needs to know beside its workflow and argument."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Options:
    """`identity_url` issues OIDC tokens, if not empty; `pace` multiplies the seconds of every sleep."""

    identity_url: str = ""
    pace: float = 1.0
