"""Who has signed in, by what is proved, and what that allows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from run.api.call import Call
from run.browse.sessions import session
from shared.access import Action, Resource


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Somebody: the groups that the token proves, those that the operators gave, and what they may do.

    `ends` is until when, in UTC; empty for a token that was sent without a session.
    """

    email: str
    issuer: str
    proved: Sequence[str]
    given: Sequence[str]
    rights: Sequence[tuple[str, bool]]
    ends: str


def who_am_i(call: Call) -> Identity:
    """Return who calls. Raises Unauthorized, Forbidden and Unavailable."""
    proved, joined = call.signed_in, call.identify()
    what = Resource(name="the service")
    found = session()
    return Identity(
        email=joined.email,
        issuer=joined.issuer,
        proved=sorted(proved.groups),
        given=sorted(joined.groups - proved.groups),
        rights=[
            (label, call.dss.policy.decide(joined, action, what).is_allowed)
            for label, action in (
                ("Subscribe, make collections, and write new files and bundles", Action.CONTRIBUTE),
                ("Change who may do what, and see all that is managed", Action.ADMINISTER),
            )
        ],
        ends=f"{datetime.fromtimestamp(found.ends, UTC):%Y-%m-%d %H:%M:%S} UTC" if found else "",
    )
