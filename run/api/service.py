"""Routes about the service itself: contract, page, version, health, sign-in."""

import importlib.metadata
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from flask import Flask, Response

from run.api import page
from run.api.bounded_reads import BoundedReads, Unknown
from run.api.clients import base_url
from run.api.command_line_sign_in import application_secrets
from run.api.contract import Contract
from run.api.pagination import answer
from shared.access.audit_log import utc_text
from shared.api_path import API_PATH
from shared.switches import outdated
from shared.system import Dss

HEALTH = "/internal/health"
# Paths of answers that need no back end.
WITHOUT_BACK_END = (
    "/",
    page.PAGE,
    page.CONTRACT_OF_PAGE,
    f"{API_PATH}/swagger.json",
    "/version",
    "/internal/application_secrets",
)
# The key of an application's back ends in its `extensions`.
BACK_ENDS = "dss.back_ends"
# Probes and people should not wait longer for a back end.
_HEALTH_SECONDS = 6
# Anybody may ask, and each check costs a read and four lists.
_KEPT_SECONDS = 2


def install(app: Flask, dss: Dss, contract: Contract, *, front: str) -> None:
    """Add the routes that are not operations of the contract."""
    version = importlib.metadata.version("dss-service")
    health = app.extensions[BACK_ENDS] = BackEnds(dss)
    # What service accounts put into the tokens that they sign: the first accepted name of each claim.
    sign_in = {
        "x-audience": dss.settings.oidc_audience[0],
        "x-email-claim": dss.settings.oidc_email_claim[0],
        "x-group-claim": dss.settings.oidc_group_claim[0],
    }

    def swagger() -> Response:
        scheme, _, host = base_url(dss.settings).partition("://")
        return answer(contract.served_at(scheme, host, sign_in=sign_in))

    def secrets() -> Response:
        return answer(application_secrets(dss.settings))

    page.install(app, dss.settings, contract, front=front or page.PAGE)
    app.add_url_rule(f"{API_PATH}/swagger.json", "swagger", swagger)
    app.add_url_rule("/version", "version", lambda: answer(_version_form(version)))
    app.add_url_rule(HEALTH, "health", health.answer)
    app.add_url_rule("/internal/application_secrets", "application_secrets", secrets)


def _version_form(version: str) -> dict[str, Any]:
    """Return what both the predecessor's clients and those of its catalogue look for.

    An image names the commit that it was built of behind its release (run/api/Dockerfile); without one, the
    release stands for it. There is no list of changes.
    """
    _, _, commit = version.partition("+")
    return {
        "version_info": {"version": version},
        "git": {"commit": commit or version, "dirty": False},
        "changes": [],
    }


class BackEnds:
    """Checks all back ends at once, and keeps what it found for two seconds; threads may share it."""

    def __init__(self, dss: Dss) -> None:
        self._switches = dss.switches
        self._checks: dict[str, Callable[[], None]] = {"catalog": dss.catalog.database.check}
        for replica in dss.replicas:
            for bucket in (replica.bucket, replica.checkout_bucket):
                name = f"{replica.name} {bucket}"
                self._checks[name] = partial(replica.store.check_bucket, bucket)
        self._reads = BoundedReads[None](len(self._checks), seconds=_HEALTH_SECONDS, kept=_KEPT_SECONDS)

    def answer(self) -> Response:
        """Answer 200 and `Healthy` if all back ends answer, else 503 with those that do not.

        `read_only` and `stopped` say since when, and why, an operator has switched something off; `outdated`
        why this release may not write.
        """
        broken = {name: why for name, why in self.states().items() if why}
        switches = self._switches.current()
        body: dict[str, Any] = {"Healthy": not broken, **({"broken": broken} if broken else {})}
        for name in ("read_only", "stopped"):
            # Anybody may ask, so it does not say who.
            if switch := getattr(switches, name):
                body[name] = {"reason": switch.reason, "since": utc_text(switch.since)}
        if why := outdated(switches):
            body["outdated"] = why
        return answer(body, 503 if broken else 200)

    def states(self) -> Mapping[str, str]:
        """Return what is wrong with each back end, empty if it answers; after some seconds at most."""
        found = self._reads.ask(self._checks)
        return {name: each.why if isinstance(each, Unknown) else "" for name, each in found.items()}
