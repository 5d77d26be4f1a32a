"""Passports in the bodies of requests: a call by their holder."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from flask import Flask, current_app

from run.api.audit_log import noted
from run.api.call import Call
from run.api.passports import Passports
from shared.access import Principal
from shared.errors import DssError
from shared.system import Dss

_PASSPORTS = "dss.passports"


def install(app: Flask, dss: Dss) -> None:
    """Let an application's handlers verify passports, if the deployment accepts any."""
    if dss.settings.passport_issuers:
        app.extensions[_PASSPORTS] = Passports(dss.settings)


def with_passports(call: Call, body: Mapping[str, Any]) -> Call:
    """Return the call by the holder of the passports in a body, beside whom its token proves.

    As tokens, passports are not looked at before something is asked for that not everybody may read. Without
    passports, or if the deployment accepts none, it is the call itself.
    """
    texts = body.get("passports")
    verifier: Passports | None = current_app.extensions.get(_PASSPORTS)
    if not texts or verifier is None:
        return call

    def identify() -> Principal:
        signed_in, holder = call.identify(), verifier.holder(texts)
        groups = signed_in.groups | holder.groups
        who = replace(signed_in, groups=groups) if signed_in.is_known else holder
        noted().who = who
        return who

    return replace(call, identify=_once(identify))


def _once(work: Callable[[], Principal]) -> Callable[[], Principal]:
    """Return a function that does the work at its first call: bulk requests decide about many things."""
    outcomes: list[Principal | DssError] = []

    def remembered() -> Principal:
        if not outcomes:
            try:
                outcomes.append(work())
            except DssError as error:
                outcomes.append(error)
        [outcome] = outcomes
        if isinstance(outcome, DssError):
            raise outcome
        return outcome

    return remembered
