"""How a request for an object can be authorized."""

from collections.abc import Iterable, Mapping
from typing import Any

from run.api.audit_log import noted
from run.api.call import Call
from run.drs.needs_token import Uses
from run.drs.resolving import found_many, hidden, not_found
from shared.access import Resource, Verdict
from shared.drs.objects import DataObject
from shared.errors import DssError


def authorizations_of(
    call: Call, texts: Iterable[str], uses: Uses
) -> Mapping[str, dict[str, Any] | DssError]:
    """Return the authorizations of the objects with these ids, for some uses, or why there are none.

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
        return {"drs_object_id": text, **_types(call, found.resource, uses)}

    return {text: outcome(text, found) for text, found in found_many(call, texts).items()}


def _may_be_known(call: Call, what: Resource) -> bool:
    """Return whether the caller may know that something is there: a refusal would say so, too."""
    policy = call.dss.policy
    return policy.is_open(what) or not policy.hide_managed or call.finds(what)


def _types(call: Call, what: Resource, uses: Uses) -> dict[str, Any]:
    settings = call.dss.settings
    if call.dss.policy.is_open(what) and not uses.need_token(settings):
        return {"supported_types": ["None"]}
    types = {
        "supported_types": ["BearerAuth"],
        "bearer_auth_issuers": [setting.issuer for setting in settings.issuers],
    }
    if uses.take_passports(settings):
        types["supported_types"].append("PassportAuth")
        types["passport_auth_issuers"] = [setting.issuer for setting in settings.passport_issuers]
    return types
