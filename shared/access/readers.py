"""Readers: the names of those who may read something.

A reader is a group, or one of the names `public` (everybody) and `signed-in` (everybody who has signed in).
What has no readers of its own has the deployment's, DSS_DEFAULT_ACCESS; in queries `default` stands for them.
"""

import re
from collections.abc import Iterable

from shared.errors import IllegalArguments

PUBLIC = "public"
SIGNED_IN = "signed-in"
DEFAULT = "default"
# The only reader of what nobody but an admin may read.
NOBODY = "nobody"

# Names of groups are in documents, queries and tokens: LDAP and OIDC providers use paths and addresses.
_GROUP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:/+-]{0,127}")


def check_group(name: str, parameter: str = "group") -> str:
    """Return the name of a group. Raise IllegalArguments, naming the parameter, if it can't be one."""
    if name in (PUBLIC, SIGNED_IN, DEFAULT, NOBODY):
        raise IllegalArguments(f"{parameter}: {name!r} is not a group, and no group can have this name")
    return check_reader(name, parameter)


def check_reader(name: str, parameter: str = "group") -> str:
    """Return the name of a group, `public` or `signed-in`. Raise IllegalArguments if it is none."""
    if name in (DEFAULT, NOBODY) or not _GROUP.fullmatch(name):
        raise IllegalArguments(
            f"{parameter}: {name[:80]!r} is not the name of a group: 1 to 128 letters, digits and ._@:/+-"
        )
    return name


def narrowed(readers: Iterable[Iterable[str]], default: str) -> frozenset[str]:
    """Return the readers of what is made of several things: those that may read each of them.

    Each item is the readers of one thing, none for the `default`. Groups are compared by name: who is in two
    groups, each of which may read one half, is not among the readers of the whole.
    """
    common: frozenset[str] | None = None
    for each in readers:
        own = frozenset(each) or frozenset((default,))
        if PUBLIC in own:
            continue
        common = own if common is None else _common(common, own)
    if common is None:
        return frozenset((PUBLIC,))
    return common or frozenset((NOBODY,))


def _common(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    if SIGNED_IN in one:
        return other
    return one if SIGNED_IN in other else one & other
