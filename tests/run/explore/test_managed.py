"""What is managed is not there for others: in hits, totals, facets, summaries and files."""

from typing import Any

import pytest

from tests.run.explore.conftest import LAB, OWN
from tests.support.access_world import bind
from tests.support.api import Api, new_uuid
from tests.support.clouds import Clouds
from tests.support.explore_service import ExploreService, assert_refused
from tests.support.hca_sample import id_of, sequenced

FILES, SUMMARY = "/index/files", "/index/summary"
# Who asks, and what they see of the samples: the second bundle is for members of LAB.
SEES = {"stranger": False, "another": False, "member": True, "admin": True}


@pytest.fixture
def callers(service: ExploreService) -> dict[str, Api]:
    return {
        "stranger": service.api,
        "another": service.member("dss", "others"),
        "member": service.member(LAB),
        "admin": service.admin,
    }


def facet(page: Any, name: str) -> dict[str, int]:
    return {term["term"]: term["count"] for term in page["termFacets"][name]["terms"]}


def test_everybody_sees_what_they_may_read(service: ExploreService, callers: dict[str, Api]) -> None:
    for who, sees in SEES.items():
        by = callers[who]
        page = service.get(FILES, by=by)
        organs = {"brain": 2, "liver": 2, **({"heart": 2} if sees else {})}
        assert page["pagination"]["total"] == len(page["hits"]) == sum(organs.values()), who
        assert facet(page, "organ") == organs, who
        assert facet(page, "accessible") == {"true": sum(organs.values())}
        assert ("secret" in facet(page, "project")) is sees
        summary = service.get(SUMMARY, by=by)
        counts = [summary[f"{name}Count"] for name in ("file", "project", "donor", "specimen")]
        assert counts == ([6, 2, 3, 3] if sees else [4, 1, 2, 2]), who
        assert summary["totalFileSize"] == (90.0 if sees else 60.0)
        assert sorted(summary["organTypes"]) == sorted(organs)
        words = service.get("/index/samples", by=by, q="secret", facets="")
        assert words["pagination"]["total"] == int(sees), who
        # More than a page holds: the pages of others are as full.
        sizes = [page["pagination"]["count"] for page in _pages(service, by)]
        assert sizes == ([3, 3] if sees else [3, 1]), who


def _pages(service: ExploreService, by: Api) -> list[Any]:
    page = service.get(FILES, by=by, size=3, facets="")
    found = [page]
    while page["pagination"]["next"]:
        page = service.get(page["pagination"]["next"], by=by)
        found.append(page)
    return found


def test_what_is_hidden_is_answered_as_what_is_not_there(callers: dict[str, Api]) -> None:
    hidden, absent = id_of("b"), new_uuid()
    for who, sees in SEES.items():
        answers = {uuid: callers[who].get(f"/index/samples/{uuid}") for uuid in (hidden, absent)}
        assert answers[absent].status_code == 404
        if sees:
            assert answers[hidden].json()["samples"][0]["organ"] == "heart"
        else:
            assert answers[hidden].status_code == 404
            assert answers[hidden].text.replace(hidden, "") == answers[absent].text.replace(absent, "")


def test_everybody_sees_a_shared_entity_once(service: ExploreService, callers: dict[str, Api]) -> None:
    """One that is in a bundle for all and in one for LAB shows each reader what these may read of it."""
    name = new_uuid()
    for part, *readers in (("open",), ("closed", LAB)):
        bundle = sequenced(f"{part} {name}", specimen=f"of {name}", project=name)
        service.put(OWN, bundle.metadata(), *readers)
    query: dict[str, Any] = {"catalog": OWN, "filters": {"project": {"is": [name]}}}

    for who, sees in SEES.items():
        for entity_type in ("samples", "projects"):
            page = service.get(f"/index/{entity_type}", by=callers[who], **query)
            [hit] = page["hits"]
            assert page["pagination"]["total"] == 1, who
            # Of others, too: its own filter does not hold for it.
            assert facet(page, "project")[name] == 1, who
            assert sum(each["count"] for each in hit["fileTypeSummaries"]) == (4 if sees else 2), who
        files = service.get(FILES, by=callers[who], **query)
        assert files["pagination"]["total"] == len(files["hits"]) == (4 if sees else 2), who
        summary = service.get(SUMMARY, by=callers[who], **query)
        counts = [summary[f"{each}Count"] for each in ("file", "project", "specimen")]
        assert counts == [4 if sees else 2, 1, 1], who
        alone = service.get(f"/index/samples/{id_of(f'of {name}')}", by=callers[who], catalog=OWN)
        assert sum(each["count"] for each in alone["fileTypeSummaries"]) == (4 if sees else 2), who


@pytest.mark.parametrize(
    "filters",
    [
        {"entryId": {"is": [id_of("b")]}},
        {"sampleId": {"is": ["b"]}},
        {"organ": {"is": ["heart"]}},
        {"bundleUuid": {"is": [id_of("second")]}},
        {"project": {"is": ["secret"]}},
    ],
)
def test_no_filter_finds_what_is_hidden(
    service: ExploreService, callers: dict[str, Api], filters: Any
) -> None:
    for who, sees in SEES.items():
        page = service.get("/index/samples", by=callers[who], filters=filters)
        assert page["pagination"]["total"] == len(page["hits"]) == int(sees), who
        # Of the counts that the filter does not hold for, either.
        assert ("heart" in facet(page, "organ")) is sees, who


def test_who_gets_a_file_is_decided_as_in_v1(
    service: ExploreService, clouds: Clouds, callers: dict[str, Api]
) -> None:
    name = new_uuid()
    bundle = sequenced(name, specimen=f"of {name}", project=name)
    fqid = service.upload(clouds, bundle)
    uuid = bundle.files[0]["uuid"]
    for each in (fqid.uuid, *(file["uuid"] for file in bundle.files)):
        bind(service.dss, each, readers=frozenset((LAB,)))
    service.index(OWN, fqid)
    expected = {"stranger": 401, "another": 403, "member": 302, "admin": 302}

    for who, status in expected.items():
        for path in ("/repository/files", "/fetch/repository/files"):
            answer = callers[who].get(f"{path}/{uuid}", catalog=OWN)
            assert answer.status_code == (200 if status == 302 and "fetch" in path else status), who
        described = callers[who].get(f"/ga4gh/dos/v1/dataobjects/{uuid}", catalog=OWN)
        assert described.status_code == (200 if status == 302 else status)
        v1 = callers[who].get(f"/v1/files/{uuid}", replica="gcp")
        assert v1.status_code == status


def test_what_becomes_managed_vanishes_for_others(
    service: ExploreService, clouds: Clouds, callers: dict[str, Api]
) -> None:
    name = new_uuid()
    fqid = service.upload(clouds, sequenced(name, specimen=f"of {name}", project=name))
    service.index(OWN, fqid)
    query: dict[str, Any] = {"catalog": OWN, "filters": {"project": {"is": [name]}}}
    assert service.get("/index/files", **query)["pagination"]["total"] == 2

    bind(service.dss, fqid.uuid, readers=frozenset((LAB,)))
    service.index(OWN, fqid)

    for who, sees in SEES.items():
        page = service.get("/index/files", by=callers[who], **query)
        assert page["pagination"]["total"] == (2 if sees else 0), who
    assert_refused(callers["stranger"].get(f"/index/bundles/{fqid.uuid}", catalog=OWN), 401)
