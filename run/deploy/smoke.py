"""Whether a deployed API works, for `dss deploy smoke`: it reads only."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import requests

from dss.api.session import BASE_PATH
from dss.commands.context import Context
from run.deploy.check import line_of
from run.deploy.findings import Finding, State, ok, wrong

_SECONDS = 30
_PAUSE = 2.0

_Test = Callable[[Mapping[str, Any]], bool]


def run_smoke(context: Context, url: str, *, version: str, seconds: float) -> int:
    """Try the API until it works, or for so many seconds. Return 0 if it works, else 1."""
    findings = smoke(url.rstrip("/"), version=version, seconds=seconds)
    works = all(finding.state is State.OK for finding in findings)
    text = "\n".join(line_of(finding) for finding in findings)
    context.show({"works": works, "findings": [finding.as_json() for finding in findings]}, text)
    return 0 if works else 1


def smoke(
    url: str, *, version: str, seconds: float, sleep: Callable[[float], None] = time.sleep
) -> list[Finding]:
    """Return what is found; an instance that starts, or a late grant, has so many seconds."""
    ends = time.monotonic() + seconds
    with requests.Session() as session:
        while True:
            findings = list(_tried(session, url, version))
            is_over = time.monotonic() >= ends
            if is_over or all(finding.state is State.OK for finding in findings):
                return findings
            sleep(_PAUSE)


def _tried(session: requests.Session, url: str, version: str) -> Iterator[Finding]:
    def found(name: str, path: str, is_right: _Test, do: str) -> Finding:
        try:
            answer = session.get(f"{url}{path}", timeout=_SECONDS)
            document = answer.json()
        except (requests.RequestException, ValueError) as error:
            return wrong(name, f"{path}: {type(error).__name__}", do)
        if answer.status_code not in (200, 206) or not isinstance(document, dict) or not is_right(document):
            return wrong(name, f"{path}: {answer.status_code}: {str(document)[:300]}", do)
        return ok(name, path)

    def is_version(document: Mapping[str, Any]) -> bool:
        return version in ("", document.get("git", {}).get("commit"))

    logs = "See the logs of the revision."
    yield found("version", "/version", is_version, "Another revision answers.")
    yield found("contract", f"{BASE_PATH}/swagger.json", lambda document: bool(document.get("paths")), logs)
    yield found("health", "/internal/health", lambda document: document.get("Healthy") is True, logs)
    for replica in ("gcp", "aws"):
        path = f"{BASE_PATH}/bundles/all?replica={replica}&per_page=10"
        yield found(f"list {replica}", path, lambda document: "bundles" in document, logs)
