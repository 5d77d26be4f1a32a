"""What is wrong with a request is said in the predecessor's form, with its status."""

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from run.explore.arguments import Arguments
from run.explore.checked_json import checked_json
from shared.errors import DssError, IllegalArguments
from shared.explore.catalogues import Catalogue
from shared.explore.hca.plugin import HcaPlugin
from shared.explore.settings import CatalogueSetting
from tests.run.explore.conftest import EMPTY, SAMPLES
from tests.support.api import new_uuid
from tests.support.explore_service import ExploreService, assert_refused

FILES, SUMMARY, CATALOGS = "/index/files", "/index/summary", "/index/catalogs"
# Of a file that is not there; the same in each process, since it names tests.
UNKNOWN = "/repository/files/5d0c0b6e-3c55-4a1b-8f0e-0f1d8f6f2a11"
DEEP = "[" * 500 + "]" * 500


@pytest.mark.parametrize(
    ("path", "query", "message"),
    [
        (FILES, {"siz": 1}, "Unknown query parameter `siz`"),
        (FILES, {"b": 1, "a": 2}, "Unknown query parameters `a`, `b`"),
        (SUMMARY, {"size": 1}, "Unknown query parameter `size`"),
        (CATALOGS, {"catalog": "x"}, "Unknown query parameter `catalog`"),
        ("/repository/sources", {"size": 1}, "Unknown query parameter `size`"),
        ("/health/basic", {"x": 1}, "Unknown query parameter `x`"),
        (FILES, {"catalog": "No Name!"}, "Invalid value for `catalog`"),
        (SUMMARY, {"catalog": ""}, "Invalid value for `catalog`"),
        (FILES, {"order": "up"}, "Invalid value for `order`"),
        (FILES, {"sort": "nothing"}, "Unknown field `nothing`"),
        # A field that summaries alone use.
        (FILES, {"sort": "donorId"}, "Unknown field `donorId`"),
        (FILES, {"facets": "organ,nothing"}, "Unknown facet `nothing`"),
        (FILES, {"facets": "fileName"}, "Unknown facet `fileName`"),
        (FILES, {"q": "x" * 1001}, "Invalid value for `q`"),
        (FILES, {"q": "a\0b"}, "Invalid value for `q`: holds a null character"),
        (SUMMARY, {"q": "\0"}, "Invalid value for `q`: holds a null character"),
        (
            FILES,
            {"search_after": '["a", "b"]', "search_before": '["a", "b"]'},
            "Only one of search_after or search_before may be set",
        ),
        ("/index/nothing", {}, "Entity type 'nothing' is invalid"),
        ("/index/nothing", {"size": 5}, "Must be one of {'bundles', 'files', 'projects', 'samples'}"),
        ("/index/cell_suspensions", {}, "Entity type 'cell_suspensions' is invalid"),
        ("/index/files/no-uuid", {}, "entity_id"),
        ("/repository/files/no-uuid", {}, "file_uuid"),
        (UNKNOWN, {"version": "1"}, "version"),
        (UNKNOWN, {"wait": "2"}, "Invalid value for `wait`"),
        (UNKNOWN, {"replica": "azure"}, "Invalid value for `replica`"),
        (UNKNOWN, {"directurl": "1"}, "Unknown query parameter `directurl`"),
        (f"/fetch{UNKNOWN}", {"wait": ""}, "Invalid value for `wait`"),
        ("/integrations", {}, "Missing required query parameter `entity_type`"),
        ("/integrations", {"entity_type": "x"}, "Missing required query parameter `integration_type`"),
        ("/health/elasticsearch,nothing", {}, "Invalid health keys"),
    ],
)
def test_a_wrong_parameter_is_named(service: ExploreService, path: str, query: Any, message: str) -> None:
    assert_refused(service.api.get(path, **query), 400, message)


@pytest.mark.parametrize(
    "token",
    [
        *("", "x", "[]", "{}", "null", '["a"]', '["a", "b", "c"]', '["a", 1]', '[null, "b"]', '"ab"', DEEP),
        *('["\\ud800", "b"]', '["a\\u0000", "b"]', '["a", "b"', '["' + "x" * 7000 + '", "b"]', "1, 2"),
    ],
)
@pytest.mark.parametrize("name", ["search_after", "search_before"])
def test_a_malformed_token_is_refused(service: ExploreService, name: str, token: str) -> None:
    assert_refused(service.api.get(FILES, **{name: token}), 400, f"Invalid value for `{name}`")


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ("", ["`filters`", "JSON"]),
        ("{", ["`filters`", "JSON"]),
        ('{"organ": {"is": [NaN]}}', ["`filters`", "JSON", "NaN"]),
        ('{"fileSize": {"within": [[0, 1e999]]}}', ["`filters`", "JSON", "too large"]),
        ('{"organ": {"is": ["a"]}, "organ": {"is": ["b"]}}', ["`filters`", "two members"]),
        ('{"organ": {"is": ["\\ud800"]}}', ["`filters`", "surrogate"]),
        ('{"organ": {"is": ["\\u0000"]}}', ["`filters`", "null character"]),
        (f'{{"organ": {{"is": {DEEP}}}}}', ["`filters`", "deep"]),
        ("[]", ["`filters`", "dictionary"]),
        ("null", ["`filters`", "dictionary"]),
        ('{"nothing": {"is": ["x"]}}', ["Unknown field `nothing`"]),
        ('{"organ": {"isnt": ["x"]}}', ["`organ`", "'isnt'", "is, within, contains, intersects"]),
        ('{"sourceId": {"within": [[1, 2]]}}', ["`sourceId`", "`within`"]),
        ('{"sourceId": {"is": [null]}}', ["`sourceId`", "null"]),
        ('{"accessible": {"is": [null]}}', ["`accessible`", "null"]),
        ('{"accessible": {"is": ["true"]}}', ["`accessible`", "`is`"]),
        ('{"accessible": {"within": [[true, true]]}}', ["`accessible`", "`within`"]),
    ],
)
def test_a_wrong_filter_is_explained(service: ExploreService, filters: str, words: list[str]) -> None:
    for path in (FILES, SUMMARY, f"{FILES}/{new_uuid()}"):
        assert_refused(service.api.get(path, filters=filters), 400, *words)
    assert_refused(service.api.post(FILES, json={"filters": filters}), 400, *words)


def test_another_source_is_forbidden(service: ExploreService) -> None:
    filters = json.dumps({"sourceId": {"is": [new_uuid()]}})

    assert_refused(service.api.get(FILES, filters=filters), 403, "sourceId")


def test_an_unknown_catalogue_is_not_there(service: ExploreService) -> None:
    for path in (FILES, SUMMARY, "/repository/sources", f"/repository/files/{new_uuid()}"):
        answer = service.api.get(path, catalog="other")
        assert_refused(answer, 404, "Catalog name 'other' does not exist. Must be one of {", repr(EMPTY))


def test_what_is_not_there_is_404(service: ExploreService) -> None:
    uuid = new_uuid()
    for entity_type in ("files", "samples", "projects"):
        answer = service.api.get(f"/index/{entity_type}/{uuid}")
        assert_refused(answer, 404, f"Can't find an entity in {entity_type} with an uuid, {uuid}.")
    assert_refused(service.api.get(f"/index/bundles/{uuid}"), 404, f"has no bundle {uuid}")
    for path in ("/index/files/x/y", "/repository/nothing", "/fetch/x", "/healthy"):
        assert_refused(service.api.get(path), 404)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", ["missing"]),
        (b"{", ["not JSON"]),
        (b"[]", ["must be an object"]),
        (b'{"filters": {"organ": {"is": ["x"]}}}', ["Invalid value for `filters`"]),
        (b'{"size": true}', ["Invalid value for `size`"]),
        (b'{"size": 1.5}', ["Invalid value for `size`"]),
        (b'{"q": "\\u0000"}', ["Invalid value for `q`", "null character"]),
        (b'{"siz": 1}', ["Unknown query parameter `siz`"]),
        (b'{"catalog": "%s"}' % SAMPLES.encode(), ["`catalog` is in both the query and the body"]),
    ],
)
def test_a_wrong_body_is_explained(service: ExploreService, body: bytes, words: list[str]) -> None:
    assert_refused(service.api.post(FILES, data=body, catalog=SAMPLES), 400, *words)


def test_another_method_is_refused(service: ExploreService) -> None:
    for method, path in (("PUT", FILES), ("POST", "/repository/sources"), ("DELETE", CATALOGS)):
        answer = service.writer.request(method, path)
        assert (answer.status_code, answer.json()["Code"]) == (405, "MethodNotAllowedError")


@pytest.mark.parametrize("path", [FILES, SUMMARY, CATALOGS, "/health/basic"])
def test_a_token_that_proves_nothing_does_not_matter(service: ExploreService, path: str) -> None:
    """As everywhere in the DSS: old clients send expired tokens, and what they may read is everybody's."""
    assert service.api.signed_in("no.valid.token").get(path).json() == service.get(path)


# Those that a database refuses are rare among all.
TEXTS = st.text() | st.text(st.sampled_from('a\\\0\ud800"'))
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXTS),
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(TEXTS, below, max_size=3)),
    max_leaves=10,
)
CATALOGUE = Catalogue(1, CatalogueSetting(name="x", plugin="hca"), HcaPlugin(host="h"), "https://h/v1")


def texts(value: Any) -> Iterator[str]:
    """Yield all texts in a value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        yield from chain.from_iterable(map(texts, value))
    elif isinstance(value, dict):
        yield from chain(value, *map(texts, value.values()))


@settings(max_examples=100)
@given(st.one_of(TEXTS, TEXTS.map(json.dumps), JSON.map(json.dumps)))
def test_json_is_read_or_refused(text: str) -> None:
    try:
        value = checked_json(text, "wrong")
    except IllegalArguments as error:
        assert error.title.startswith("wrong")
    else:
        assert not any("\0" in text for text in texts(value))
        assert json.dumps(value, ensure_ascii=False).encode()


@settings(max_examples=40)
@given(
    st.one_of(
        JSON,
        st.dictionaries(
            st.sampled_from([*CATALOGUE.fields, "accessible"]),
            st.dictionaries(
                st.sampled_from(["is", "within", "contains", "intersects"]), JSON, min_size=1, max_size=1
            ),
        ),
    )
)
def test_filters_are_read_or_refused(filters: Any) -> None:
    given_ = Arguments({"filters": json.dumps(filters)})
    try:
        given_.query(CATALOGUE, "files")
    except DssError as error:
        assert error.title
