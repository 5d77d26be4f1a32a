"""What the service says of itself: catalogues, sources, health, version, document."""

import importlib.metadata
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from openapi_spec_validator import validate

from run.api.interfaces import Interfaces
from run.explore.document import load_document
from run.explore.health import Health
from shared.errors import Unavailable
from shared.explore.base import NoCatalogues
from shared.explore.upkeep import Waiting
from shared.system import Dss
from tests.run.explore.conftest import EMPTY, OWN, REFERENCE, SAMPLES
from tests.support.api import Api
from tests.support.explore_service import ExploreService, assert_refused
from tests.support.waiting import wait_until

# The predecessor's routes, by heart.
OPERATIONS = {
    ("get", "/index/catalogs"),
    ("get", "/index/summary"),
    # Of our own, for long filters.
    ("post", "/index/summary"),
    ("get", "/index/{entity_type}"),
    ("post", "/index/{entity_type}"),
    ("get", "/index/{entity_type}/{entity_id}"),
    ("put", "/manifest/files"),
    ("get", "/manifest/files/{token}"),
    ("put", "/fetch/manifest/files"),
    ("get", "/fetch/manifest/files/{token}"),
    ("get", "/repository/sources"),
    ("get", "/repository/files/{file_uuid}"),
    ("get", "/fetch/repository/files/{file_uuid}"),
    ("get", "/ga4gh/dos/v1/dataobjects/{uuid}"),
    ("get", "/integrations"),
    ("get", "/health"),
    ("get", "/health/{keys}"),
}
KEYS = ("elasticsearch", "queues", "progress", "api_endpoints", "other_lambdas")


def test_the_document_is_valid_and_has_the_operations_of_the_predecessor() -> None:
    document = load_document()

    # As it is sent: without what YAML shares.
    validate(json.loads(json.dumps(document)))
    assert {(method, path) for path, methods in document["paths"].items() for method in methods} == OPERATIONS


def test_every_operation_is_served_and_none_writes() -> None:
    [explore] = [interface for interface in Interfaces.load() if interface.area == "explore"]

    assert {(operation.method.lower(), operation.path) for operation in explore.operations} == OPERATIONS
    assert not any(operation.writes for operation in explore.operations)


def test_the_document_is_served(service: ExploreService) -> None:
    answer = service.api.get("/openapi")

    assert answer.json() == load_document()
    assert answer.headers["Cache-Control"] == "public, max-age=500"


def test_catalogues_say_what_can_be_listed_and_from_where(service: ExploreService) -> None:
    found = service.get("/index/catalogs")

    assert found["default_catalog"] == SAMPLES
    assert found["catalogs"].keys() == {SAMPLES, REFERENCE, EMPTY, OWN}
    [source] = service.get("/repository/sources", catalog=EMPTY)["sources"]
    assert found["catalogs"][EMPTY] == {
        "atlas": EMPTY,
        "internal": False,
        "plugins": {
            "metadata": {
                "name": "hca",
                "indices": {
                    "files": {"default_sort": "fileName", "default_order": "asc", "max_size": 1000},
                    "samples": {"default_sort": "sampleId", "default_order": "asc", "max_size": 1000},
                    "projects": {"default_sort": "projectTitle", "default_order": "asc", "max_size": 100},
                    "bundles": {"default_sort": "bundleVersion", "default_order": "desc", "max_size": 100},
                },
            },
            "repository": {"name": "dss", "sources": [source["sourceSpec"]]},
        },
    }
    [hit, *_] = service.get("/index/files")["hits"]
    assert hit["sources"] == [source]


def test_answers_are_private_to_who_asked(service: ExploreService) -> None:
    for path in ("/index/files", "/index/summary", "/index/nothing", "/health/basic"):
        headers = service.api.get(path, headers={"Origin": "https://browser.example.org"}).headers
        assert headers["Cache-Control"] == "no-store"
        assert (headers["X-Frame-Options"], headers["X-Content-Type-Options"]) == ("DENY", "nosniff")


def test_the_version_is_what_clients_of_both_look_for(anyone: Api) -> None:
    version = importlib.metadata.version("dss-service")

    assert anyone.get("/version").json() == {
        "version_info": {"version": version},
        "git": {"commit": version, "dirty": False},
        "changes": [],
    }


def test_no_portals_are_configured(service: ExploreService) -> None:
    for ids in (None, "", "a,b"):
        query = {"entity_type": "projects", "integration_type": "get_manifest", "entity_ids": ids}
        assert service.get("/integrations", **query) == []


def test_the_health_of_all_parts_is_told(service: ExploreService) -> None:
    for path in ("/health", "/health/cached", f"/health/{','.join(KEYS)}"):
        found = service.get(path)
        assert found.keys() == {"up", *KEYS}
        assert found["up"] is True
        assert all(found[key]["up"] is True for key in KEYS)
        assert found["progress"] == {"up": True, "unindexed_bundles": 0, "unindexed_documents": 0}
    assert service.get("/health/basic") == {"up": True}
    assert service.get("/health/fast").keys() == {"up", "elasticsearch", "api_endpoints"}
    assert service.get("/health/queues").keys() == {"up", "queues"}
    assert service.api.head("/health/fast").status_code == 200


def test_what_waits_is_in_the_health(service: ExploreService) -> None:
    upkeep, catalogue = service.dss.catalogues.upkeep, service.catalogue(EMPTY)
    try:
        for seconds, status in ((10.0, 200), (1000.0, 503)):
            waiting = Waiting(events=3, oldest_seconds=seconds, at=datetime.now(UTC))
            upkeep.note(catalogue, waiting)
            found = _health_of(service, queued=3, status=status)
            assert found["up"] is (status == 200)
            assert found["queues"][EMPTY] == {"up": True, "messages": {"queued": 3}}
            assert found["progress"]["unindexed_bundles"] == 3
            assert found["other_lambdas"]["indexer"]["up"] is (status == 200)
    finally:
        upkeep.note(catalogue, Waiting(events=0, oldest_seconds=0.0, at=datetime.now(UTC)))
    _health_of(service, queued=0, status=200)


def _health_of(service: ExploreService, *, queued: int, status: int) -> Any:
    """Return what the service says once it knows what waits; it keeps what it knew for two seconds."""

    def known() -> Any:
        answer = service.api.get("/health")
        found = answer.json()
        queue = {"up": True, "messages": {"queued": queued}}
        is_known = answer.status_code == status and found["queues"].get(EMPTY) == queue
        # Each part is kept by itself.
        is_known &= found["progress"]["unindexed_bundles"] == queued
        return found if is_known else None

    return wait_until(known, "the service does not know what waits")


class Slow(NoCatalogues):
    """Catalogues of a database that answers on demand."""

    def __init__(self) -> None:
        self.asked, self.may_answer = threading.Event(), threading.Event()
        self.times = 0

    def catalogues(self) -> Any:
        """Wait, and return none."""
        self.times += 1
        self.asked.set()
        assert self.may_answer.wait(60)
        return {}


def test_one_thread_checks_a_part_and_the_others_do_not_wait() -> None:
    slow, now = Slow(), [0.0]
    health = Health(cast(Dss, SimpleNamespace(catalogues=slow)), lambda: now[0])
    keys = ["elasticsearch"]
    up = {"up": True, "elasticsearch": {"up": True}}
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(health.check, keys)
        assert slow.asked.wait(60)
        assert health.check(keys)["elasticsearch"]["error"] == "It is being checked; ask again."
        slow.may_answer.set()
        assert first.result(60) == up

        assert health.check(keys) == up
        assert slow.times == 1
        now[0] = 2.0
        slow.asked.clear()
        slow.may_answer.clear()
        second = threads.submit(health.check, keys)
        assert slow.asked.wait(60)
        # The state before.
        assert health.check(keys) == up
        slow.may_answer.set()
        assert second.result(60) == up
    assert slow.times == 2


class Broken(NoCatalogues):
    """Catalogues of a database that does not answer."""

    def catalogues(self) -> Any:
        """Raise Unavailable."""
        raise Unavailable("PostgreSQL does not answer")


def test_a_part_that_does_not_answer_is_down(
    service: ExploreService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vars(service.dss), "catalogues", Broken())
    now = [0.0]
    health = Health(service.dss, lambda: now[0])

    down = {"up": False, "error": "PostgreSQL does not answer"}
    assert health.check(["elasticsearch"]) == {"up": False, "elasticsearch": down}
    assert health.cached()["other_lambdas"]["service"] == {"up": True}
    monkeypatch.undo()
    now[0] = 59.0
    assert health.cached()["up"] is False
    now[0] = 61.0
    assert health.cached()["up"] is True


def test_a_deployment_without_catalogues_is_up(
    service: ExploreService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vars(service.dss), "catalogues", NoCatalogues())

    found = Health(service.dss).check()

    assert found["up"] is True
    assert found["queues"] == {"up": True}


def test_an_error_of_the_service_has_its_form_alone(service: ExploreService) -> None:
    assert_refused(service.api.get("/index/nothing"), 400)
    assert service.api.get("/v1/files/nothing").json().keys() == {"status", "code", "title"}
