"""Whether the catalogue works, and how far it is behind: by keys, in the predecessor's form.

    elasticsearch   what holds the catalogues, a PostgreSQL server, answers
    queues          how many events each catalogue has not followed, as the last sweep has measured
    progress        the sum of these
    api_endpoints   a page of some type of entity can be had from each catalogue
    other_lambdas   the store answers (`service`), and what it has got is indexed in time (`indexer`)

`up` is all of them.
"""

import random
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

from flask import Flask, current_app

from shared.errors import DssError, IllegalArguments
from shared.explore.bundle_metadata import Json
from shared.explore.catalogues import Catalogue
from shared.explore.query import PageOrder, Query
from shared.explore.upkeep import Waiting
from shared.system import Dss

# The key of an application's health in its `extensions`.
_HEALTH = "dss.explore_health"
FAST = ("elasticsearch", "api_endpoints")
# Seconds for which the state of a part is kept: for `cached`, and for all others.
_CACHED_SECONDS, _KEPT_SECONDS = 60, 2
# Seconds. Notifications bring a bundle into the catalogue within seconds, or else the sweep within minutes.
_LATE = 900.0

Checked = dict[str, Json]


class Health:
    """Checks the parts of a system; threads may share it.

    Each part is checked by one thread at a time. The others don't wait, since they hold what answers
    requests: they get its last state, or that it is down until it has been checked once.
    """

    def __init__(self, dss: Dss, clock: Callable[[], float] = time.monotonic) -> None:
        self._dss = dss
        self._clock = clock
        self._parts: defaultdict[str, _Part] = defaultdict(_Part)

    def check(self, keys: Iterable[str] | None = None) -> Checked:
        """Return the state of some parts, or of all, and whether all of them are up; two seconds old at most,
        unless a part takes longer to check.

        Raises IllegalArguments for unknown keys.
        """
        return self._check(keys, _KEPT_SECONDS)

    def cached(self) -> Checked:
        """Return the state of all parts, as it was a minute ago at most, unless one takes longer to check."""
        return self._check(None, _CACHED_SECONDS)

    def _check(self, keys: Iterable[str] | None, most_seconds: float) -> Checked:
        checks = _Checks(self._dss)
        known = checks.by_key
        chosen = list(known) if keys is None else list(dict.fromkeys(keys))
        if not set(chosen) <= known.keys():
            raise IllegalArguments("Invalid health keys")
        found = {key: self._parts[key].state(known[key], self._clock, most_seconds) for key in chosen}
        return {"up": all(each["up"] for each in found.values()), **found}


class _Part:
    """The last state of a part, and the moment at which its check began."""

    def __init__(self) -> None:
        self._checking = threading.Lock()
        self._last: tuple[float, Checked] | None = None

    def state(self, check: Callable[[], Checked], clock: Callable[[], float], most_seconds: float) -> Checked:
        now, last = clock(), self._last
        if last and now - last[0] < most_seconds:
            return last[1]
        if not self._checking.acquire(blocking=False):
            return last[1] if last else {"up": False, "error": "It is being checked; ask again."}
        try:
            found = _checked(check)
            self._last = now, found
        finally:
            self._checking.release()
        return found


class _Checks:
    """The checks of one request: what several need is found out once."""

    def __init__(self, dss: Dss) -> None:
        self._dss = dss

    @property
    def by_key(self) -> Mapping[str, Callable[[], Checked]]:
        return {
            "elasticsearch": self._database,
            "queues": self._queues,
            "progress": self._progress,
            "api_endpoints": self._endpoints,
            "other_lambdas": self._others,
        }

    def _database(self) -> Checked:
        self._dss.catalogues.catalogues()
        return {"up": True}

    def _queues(self) -> Checked:
        return {
            "up": True,
            **{
                name: {"up": True, "messages": {"queued": each.events}}
                for name, each in self._waiting.items()
            },
        }

    def _progress(self) -> Checked:
        waiting = sum(each.events for each in self._waiting.values())
        # What a bundle says of other entities changes at once with it, so no document waits alone.
        return {"up": True, "unindexed_bundles": waiting, "unindexed_documents": 0}

    def _endpoints(self) -> Checked:
        for catalogue in self._catalogues:
            name, listed = random.choice(list(catalogue.listed.items()))
            order = PageOrder(sort=catalogue.fields[listed.default_sort], descending=False, size=1)
            # As a stranger, who looks up no labels.
            query = Query(entity_type=name, facets=())
            self._dss.catalogues.page(catalogue, frozenset(), query, order)
        return {"up": True}

    def _others(self) -> Checked:
        service, indexer = _checked(self._store), _checked(self._indexer)
        return {"up": service["up"] and indexer["up"], "service": service, "indexer": indexer}

    def _store(self) -> Checked:
        self._dss.catalog.database.check()
        return {"up": True}

    def _indexer(self) -> Checked:
        if refusals := [each.refusal for each in self._catalogues if each.refusal]:
            return {"up": False, "error": "; ".join(refusals)}
        late = [name for name, each in self._waiting.items() if each.oldest_seconds > _LATE]
        if late:
            return {
                "up": False,
                "error": f"{', '.join(late)}: events have waited for more than {_LATE:.0f} s",
            }
        return {"up": True}

    @cached_property
    def _catalogues(self) -> list[Catalogue]:
        return list(self._dss.catalogues.catalogues().values())

    @cached_property
    def _waiting(self) -> Mapping[str, Waiting]:
        """What each catalogue has not followed, if it was measured."""
        names = {each.name for each in self._catalogues}
        return {
            each.name: each.waiting
            for each in (self._dss.catalogues.upkeep.stored() if names else ())
            if each.waiting and each.name in names
        }


def _checked(check: Callable[[], Checked]) -> Checked:
    try:
        return check()
    except DssError as error:
        return {"up": False, "error": error.title}


def install(app: Flask, dss: Dss) -> None:
    """Keep the health of an application."""
    app.extensions[_HEALTH] = Health(dss)


def health() -> Health:
    """Return the health of the application that answers."""
    found: Health = current_app.extensions[_HEALTH]
    return found
