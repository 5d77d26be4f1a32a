"""How long requests of the API take, one after the other, when each of theirs to a back end takes longer."""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import requests

from tests.support.api import Api, new_uuid, now, put_bundle, put_file
from tests.support.bulk_heads import duplicate_files
from tests.support.clouds import Clouds

# Of each request; the first is not counted.
_TIMES = 15
_STAGING_THREADS = 8
# A page of presigned URLs.
_PAGE = 500


@dataclass(frozen=True)
class Call:
    """A request, and half of the times that it took no longer, in seconds."""

    name: str
    seconds: float


def measure_calls(env: Mapping[str, str]) -> list[Call]:
    """Return the times of the API's most frequent requests on a running system."""
    api, clouds = Api(env["DSS_URL"], env["DSS_TOKEN"]), Clouds(env)
    file = put_file(api, clouds.stage("gcp", os.urandom(1024)))
    files = duplicate_files(env, file, _PAGE)
    items = [each.named(f"{number:06d}") for number, each in enumerate(files)]
    bundle = put_bundle(api, "gcp", items)
    with ThreadPoolExecutor(_STAGING_THREADS) as threads:
        sources = list(
            threads.map(lambda _: clouds.stage("gcp", os.urandom(1024)), range(_TIMES + 1)),
        )

    def put_next() -> None:
        put_file(api, sources.pop())

    def get(path: str, status: int, **query: object) -> Callable[[], None]:
        def ask() -> None:
            answer = api.get(path, replica="gcp", **query)
            _require(answer, status)

        return ask

    of_file, of_bundle = f"/v1/files/{file.uuid}", f"/v1/bundles/{bundle.uuid}"
    asked: Mapping[str, Callable[[], None]] = {
        "HEAD file": lambda: _require(api.head(of_file, replica="gcp", version=file.version), 200),
        "GET file": get(of_file, 302, version=file.version),
        "PUT file of 1 KiB": put_next,
        f"PUT bundle of {_PAGE} files": lambda: _require(
            api.put(
                f"/v1/bundles/{new_uuid()}",
                replica="gcp",
                version=now(),
                json={"creator_uid": 1, "files": items},
            ),
            201,
        ),
        f"GET {_PAGE} presigned URLs": get(
            of_bundle, 200, version=bundle.version, presignedurls="true", per_page=_PAGE
        ),
    }
    return [Call(name, _median(ask)) for name, ask in asked.items()]


def _require(answer: requests.Response, status: int) -> None:
    if answer.status_code != status:
        raise RuntimeError(f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:300]}")


def _median(ask: Callable[[], None]) -> float:
    ask()
    times = []
    for _ in range(_TIMES):
        began = time.monotonic()
        ask()
        times.append(time.monotonic() - began)
    return statistics.median(times)
