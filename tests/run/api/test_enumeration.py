"""GET /bundles/all: all bundles that are not hidden, in order, page by page."""

import re

import pytest

from tests.support.api import Api, Version, assert_problem, new_uuid, put_bundle
from tests.support.clouds import REPLICAS

VERSION = re.compile(r"\d{4}-\d\d-\d\dT\d{6}\.\d{6}Z")


def put_twelve(api: Api, replica: str) -> str:
    """Put twelve bundle versions, of six bundles, whose UUIDs all begin with the eight digits returned."""
    digits = new_uuid()[:8]
    for number in (5, 0, 3, 1, 4, 2):
        uuid = f"{digits}{new_uuid()[8:-1]}{number}"
        for year in (2022, 2021):
            put_bundle(api, replica, [], bundle=Version(uuid, f"{year}-01-01T000000.000000Z"))
    return digits


@pytest.fixture(scope="module")
def prefixes(api: Api) -> dict[str, str]:
    """The prefix of twelve bundle versions on each replica, which no test changes."""
    return {replica: put_twelve(api, replica) for replica in REPLICAS}


@pytest.fixture
def prefix(prefixes: dict[str, str], replica: str) -> str:
    """The prefix of the twelve on `replica`."""
    return prefixes[replica]


def fqids(answer) -> list[str]:
    """Return the FQIDs on a page."""
    return [f"{item['uuid']}.{item['version']}" for item in answer.json()["bundles"]]


def test_a_page_describes_itself(api, anyone, prefix, replica):
    answer = anyone.get("/v1/bundles/all", replica=replica, prefix=prefix, per_page=10)
    body = answer.json()
    assert answer.status_code == 206
    assert answer.headers["X-OpenAPI-Pagination"] == "true"
    assert answer.headers["X-OpenAPI-Paginated-Content-Key"] == "bundles"
    assert answer.links["next"]["url"] == body["link"]
    assert body["link"].startswith(f"{api.url}/v1/bundles/all?")
    assert VERSION.fullmatch(body["event_timestamp"])
    assert set(body["bundles"][0]) == {"uuid", "version"}
    described = {
        name: body[name] for name in ("dss_api", "object", "per_page", "page_count", "search_prefix")
    }
    assert described == {
        "dss_api": f"{api.url}/v1",
        "object": "list",
        "per_page": 10,
        "page_count": 10,
        "search_prefix": f"bundles/{prefix}",
    }
    assert body["has_more"] is True
    assert body["search_after"] == fqids(answer)[-1]
    assert isinstance(body["token"], str)


def test_the_last_page_is_200_and_leads_nowhere(api, prefix, replica):
    answer = api.get("/v1/bundles/all", replica=replica, prefix=prefix, per_page=12)
    body = answer.json()
    assert answer.status_code == 200
    assert answer.headers["X-OpenAPI-Pagination"] == "false"
    assert answer.headers["X-OpenAPI-Paginated-Content-Key"] == "bundles"
    assert "Link" not in answer.headers
    assert (body["has_more"], body["page_count"], body["per_page"]) == (False, 12, 12)
    assert body.keys().isdisjoint({"link", "token", "search_after"})


def test_all_versions_come_in_order_of_fqid(api, prefix, replica):
    pages = list(api.pages("/v1/bundles/all", replica=replica, prefix=prefix, per_page=10))
    found = [fqid for page in pages for fqid in fqids(page)]
    assert [page.status_code for page in pages] == [206, 200]
    assert found == sorted(found)
    assert len(set(found)) == 12


def test_pages_go_on_behind_search_after_or_token_alone(api, prefix, replica):
    query = {"replica": replica, "prefix": prefix, "per_page": 10}
    first = api.get("/v1/bundles/all", **query).json()
    for name in ("search_after", "token"):
        second = api.get("/v1/bundles/all", **query, **{name: first[name]})
        assert second.status_code == 200
        assert second.json()["page_count"] == 2
        assert fqids(second)[0] > first["search_after"]


def test_search_after_need_not_exist(api, prefix, replica):
    after = f"{prefix}-0000-0000-0000-000000000000.2000-01-01T000000.000000Z"
    for form in (after, f"bundles/{after}"):
        answer = api.get("/v1/bundles/all", replica=replica, prefix=prefix, search_after=form)
        assert len(fqids(answer)) == 12
    behind = f"{prefix}-ffff-ffff-ffff-ffffffffffff.2000-01-01T000000.000000Z"
    answer = api.get("/v1/bundles/all", replica=replica, prefix=prefix, search_after=behind)
    assert (answer.status_code, fqids(answer)) == (200, [])


@pytest.mark.parametrize("after", ["00000000", "ffffffff"])
def test_search_after_may_lie_outside_of_the_prefix(api, prefix, replica, after):
    fqid = f"{after}-0000-0000-0000-000000000000.2000-01-01T000000.000000Z"
    answer = api.get("/v1/bundles/all", replica=replica, prefix=prefix, search_after=fqid)
    assert (answer.status_code, len(fqids(answer))) == (200, 12 if after < prefix else 0)


def test_old_clients_append_the_original_query_to_a_link(api, prefix, replica):
    query = {"replica": replica, "prefix": prefix, "per_page": 10}
    answer = api.get("/v1/bundles/all", **query)
    found = fqids(answer)
    while answer.status_code == 206:
        answer = api.get(answer.links["next"]["url"], **query)
        found += fqids(answer)
    assert len(found) == len(set(found)) == 12
    # Somebody who began in the middle appends where they began.
    started = {**query, "search_after": "00000000-0000-0000-0000-000000000000.2000-01-01T000000.000000Z"}
    first = api.get("/v1/bundles/all", **started)
    second = api.get(first.links["next"]["url"], **started)
    assert fqids(first) + fqids(second) == found


def test_a_prefix_may_be_in_either_case_and_reach_beyond_the_first_dash(api, prefix, replica):
    everything = fqids(api.get("/v1/bundles/all", replica=replica, prefix=prefix))
    upper = api.get("/v1/bundles/all", replica=replica, prefix=prefix.upper())
    assert fqids(upper) == everything
    longer = api.get("/v1/bundles/all", replica=replica, prefix=everything[0][:36])
    assert fqids(longer) == everything[:2]
    nothing = api.get("/v1/bundles/all", replica=replica, prefix="no-uuid-begins-so")
    assert (nothing.status_code, nothing.json()["bundles"], nothing.json()["page_count"]) == (200, [], 0)


def test_the_other_replica_lists_its_own(api, prefix, replica):
    other = "aws" if replica == "gcp" else "gcp"
    assert fqids(api.get("/v1/bundles/all", replica=other, prefix=prefix)) == []


def test_hidden_bundles_are_not_listed(api, admin, replica):
    prefix = put_twelve(api, replica)
    everything = fqids(api.get("/v1/bundles/all", replica=replica, prefix=prefix))
    one_version, one_uuid = everything[0].split("."), everything[2].split(".")[0]
    version = ".".join(one_version[1:])
    reason = {"reason": "test"}
    admin.delete(f"/v1/bundles/{one_version[0]}", replica=replica, version=version, json=reason)
    admin.delete(f"/v1/bundles/{one_uuid}", replica=replica, json=reason)
    left = fqids(api.get("/v1/bundles/all", replica=replica, prefix=prefix))
    assert left == [everything[1], *everything[4:]]


def test_pages_hold_a_hundred_by_default(api, prefix, replica):
    assert api.get("/v1/bundles/all", replica=replica, prefix=prefix).json()["per_page"] == 100
    for per_page in (10, 500):
        answer = api.get("/v1/bundles/all", replica=replica, per_page=per_page, prefix=prefix)
        assert answer.json()["per_page"] == per_page


@pytest.mark.parametrize("per_page", ["9", "501", "0", "-1", "ten", "1e2", "", "10.0", " 10", "\u0661\u0660"])
def test_per_page_out_of_range_is_400(api, replica, per_page):
    answer = api.get("/v1/bundles/all", replica=replica, per_page=per_page)
    assert_problem(answer, 400, "illegal_arguments", "per_page")


@pytest.mark.parametrize("prefix", ["-a", "ä", "a/b", "a_b", "../", "a%", "a.b", "a\n"])
def test_a_prefix_of_another_form_is_400(api, replica, prefix):
    answer = api.get("/v1/bundles/all", replica=replica, prefix=prefix)
    assert_problem(answer, 400, "illegal_arguments", "prefix")


@pytest.mark.parametrize("token", ["rubbish", "e30=", "====", "ü", "🎫", "/w==", "YQ=="])
def test_a_token_of_no_list_is_400(api, replica, token):
    answer = api.get("/v1/bundles/all", replica=replica, token=token)
    assert_problem(answer, 400, "illegal_token", "token")


@pytest.mark.parametrize(
    ("search_after", "code"),
    [
        ("rubbish", "illegal_arguments"),
        ("no-uuid.2020-01-01T000000.000000Z", "illegal_arguments"),
        ("00000000-0000-0000-0000-000000000000", "illegal_arguments"),
        ("00000000-0000-0000-0000-000000000000.2020-13-01T000000.000000Z", "illegal_version"),
        ("00000000-0000-0000-0000-000000000000.", "illegal_version"),
    ],
)
def test_a_search_after_that_is_not_an_fqid_is_400(api, replica, search_after, code):
    answer = api.get("/v1/bundles/all", replica=replica, search_after=search_after)
    assert_problem(answer, 400, code, "search_after")
