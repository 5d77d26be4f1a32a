"""How soon a bundle that is PUT is seen in the catalogue, on the whole local system."""

import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from local.stack import Stack
from tests.benchmarks.explore_bundles import real_bundles
from tests.benchmarks.paused_stack import NAMES
from tests.benchmarks.processes import cpu_of, descendants, used_since
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_file
from tests.support.clouds import Clouds

# Bundles a second, each for so many seconds: the highest is that of the target.
RATES, SECONDS = (2.5, 5.0, 10.0), 15
_LOOK_SECONDS, _LONGEST_SECONDS = 0.1, 60
# Of so many bundles one is looked for by its UUID: looking must not be the load that is measured.
_LOOKED_FOR_ONE_IN = 10
_THREADS = 32
_REPLICA = "gcp"
_JSON = "application/json"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Seconds from the answer of PUT until bundles were seen, sorted, by the place where.

    A bundle that never was counts as infinitely late. `cores` is how many cores each process used, by name,
    from the first PUT until all were seen.
    """

    bundles: int
    rate: float
    lags: Mapping[str, list[float]]
    cores: Mapping[str, float]


def live() -> list[Seen]:
    """Write bundles at each of the rates, and return when they were seen. Raises LocalError."""
    with Stack(port=0).running() as env:
        api = Api(env["DSS_URL"], env["DSS_TOKEN"])
        items = put_files(api, Clouds(env))
        # The first bundle opens connections, and has the others' entities.
        _Writer(api, items, 1, RATES[0]).run()
        return [_Writer(api, items, round(rate * SECONDS), rate).run() for rate in RATES]


def put_files(api: Api, clouds: Clouds) -> list[dict[str, object]]:
    """PUT the files of a real bundle, and return them as items of bundles; data files have other content."""
    # The smallest: the rest of the system has the same cores.
    real = min(real_bundles(), key=lambda each: len(each["metadata"]) + len(each["manifest"]))
    documents = {_file_name(name): document for name, document in real["metadata"].items()}
    documents["links.json"] = real["links"]
    contents = [(name, json.dumps(document), _JSON) for name, document in documents.items()]
    data = [entry["name"] for entry in real["manifest"].values()]
    contents += [(name, name, "application/octet-stream") for name in data]

    def put(name: str, content: str, kind: str) -> dict[str, object]:
        source = clouds.stage(_REPLICA, content.encode(), content_type=kind)
        return put_file(api, source).named(name, indexed=kind == _JSON)

    return [put(*each) for each in contents]


def _file_name(name: str) -> str:
    # The plug-in knows a bundle of the HCA by the name of its project's file.
    return "project_0.json" if name.startswith("project/") else f"{name.replace('/', '_')}.json"


class _Writer:
    """Writes bundles of the same files at a rate, and looks for them."""

    def __init__(self, api: Api, items: list[dict[str, object]], bundles: int, rate: float) -> None:
        self._api = api
        self._items = items
        self._bundles = bundles
        self._rate = rate
        self._pause = threading.Event()
        self._before = _counted(api)
        self._answered: list[float] = []
        self._found: list[float] = []

    def run(self) -> Seen:
        processes = descendants(NAMES)
        before, began = cpu_of(processes), time.monotonic()
        with ThreadPoolExecutor(_THREADS) as threads:
            counted = threads.submit(self._when_counted)
            futures = []
            for number in range(self._bundles):
                self._pause.wait(max(0.0, began + number / self._rate - time.monotonic()))
                futures.append(threads.submit(self._one, looks=number % _LOOKED_FOR_ONE_IN == 0))
            for future in futures:
                future.result()
            moments = counted.result()
        # The count grows by one bundle after the other, in the order of their answers.
        lags = [max(0.0, moment - at) for moment, at in zip(moments, sorted(self._answered), strict=True)]
        found = {"GET /index/bundles/{uuid}": self._found, "counted among all bundles": lags}
        took = time.monotonic() - began
        return Seen(
            bundles=self._bundles,
            rate=self._rate,
            lags={name: sorted(each) for name, each in found.items()},
            cores={name: used / took for name, used in used_since(before, processes).items()},
        )

    def _one(self, *, looks: bool) -> None:
        api = self._api.signed_in(self._api.token)
        bundle = put_bundle(api, _REPLICA, self._items, bundle=Version(new_uuid(), now()))
        answered = time.monotonic()
        self._answered.append(answered)
        if not looks:
            return

        def is_there() -> bool:
            answer = api.get(f"/index/bundles/{bundle.uuid}")
            return answer.status_code == 200 and "bundles" in answer.json()

        self._found.append(self._when(is_there) - answered)

    def _when_counted(self) -> list[float]:
        """Return when each bundle was counted."""
        api = self._api.signed_in(self._api.token)
        moments: list[float] = []

        def are_counted() -> bool:
            more = _counted(api) - self._before - len(moments)
            moments.extend([time.monotonic()] * more)
            return len(moments) == self._bundles

        self._when(are_counted)
        return moments + [math.inf] * (self._bundles - len(moments))

    def _when(self, holds: Callable[[], bool]) -> float:
        deadline = time.monotonic() + SECONDS + _LONGEST_SECONDS
        while not holds():
            if time.monotonic() > deadline:
                return math.inf
            self._pause.wait(_LOOK_SECONDS)
        return time.monotonic()


def _counted(api: Api) -> int:
    answer = api.get("/index/bundles", size=1, facets="organ")
    answer.raise_for_status()
    return int(answer.json()["pagination"]["total"])
