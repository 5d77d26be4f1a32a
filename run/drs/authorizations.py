"""How a request for an object can be authorized."""

from collections.abc import Iterable, Mapping
from typing import Any

from run.api.audit_log import noted
from run.api.call import Call
from run.api.contract import ALL
from run.drs.passports import passport_issuers
from run.drs.resolving import found_many, hidden, not_found
from shared.access import Resource, Verdict
from shared.drs.objects import DataObject
from shared.errors import DssError

# The operations that need a token if the deployment says so.
_SECURED = frozenset((ALL, "drs.get_object", "drs.get_access"))


def authorizations_of(call: Call, texts: Iterable[str]) -> Mapping[str, dict[str, Any] | DssError]:
    """Return the authorizations of the objects with these ids, or why there are none.

    The caller learns no more than by asking for the object.
    """

    def outcome(text: str, found: DataObject | DssError) -> dict[str, Any] | DssError:
        if isinstance(found, DssError):
            return found
        if not _may_be_known(call, found.resource):
            noted().refusal = Verdict.HIDDEN
            return hidden(text)
        if not found.is_there:
            return not_found(text)
        return {"drs_object_id": text, **_types(call, found.resource)}

    return {text: outcome(text, found) for text, found in found_many(call, texts).items()}


def _may_be_known(call: Call, what: Resource) -> bool:
    """Return whether the caller may know that something is there: a refusal would say so, too."""
    policy = call.dss.policy
    return policy.is_open(what) or not policy.hide_managed or call.finds(what)


def _types(call: Call, what: Resource) -> dict[str, Any]:
    if call.dss.policy.is_open(what) and _SECURED.isdisjoint(call.dss.settings.secured):
        return {"supported_types": ["None"]}
    settings = call.dss.settings
    types = {
        "supported_types": ["BearerAuth"],
        "bearer_auth_issuers": [setting.issuer for setting in settings.issuers],
    }
    if passports := passport_issuers(settings):
        types["supported_types"].append("PassportAuth")
        types["passport_auth_issuers"] = passports
    return types
