"""Principals: who asks."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Principal:
    """A person or service account that has signed in; `STRANGER` for everybody who has not.

    `groups` are those of the token and of the memberships that the system keeps. `issuer` is who vouched for
    the e-mail address.
    """

    email: str
    issuer: str = ""
    groups: frozenset[str] = frozenset()
    is_admin: bool = False

    @property
    def is_known(self) -> bool:
        """Whether somebody has signed in."""
        return bool(self.email)


STRANGER = Principal(email="")
