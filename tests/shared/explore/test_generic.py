"""The plug-in `generic`: bundles of any JSON are found by their files, and by facets that are configured."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from run.explore.pages import hit_form
from shared.explore.base import INDEXED, BundleState
from shared.explore.bundle_metadata import BundleMetadata
from shared.explore.changes import Said
from shared.explore.entities import Share, tally
from shared.explore.generic.files import file_format
from shared.explore.generic.plugin import GenericPlugin
from shared.explore.generic.values import MOST_CHARACTERS, MOST_TEXT, MOST_VALUES, values_at
from shared.explore.plugins import open_plugin
from shared.explore.query import PageOrder, Query
from shared.explore.rows import row_of
from shared.identifiers import Fqid
from tests.support.catalogue import ANYBODY, TestCatalogue, open_catalogue
from tests.support.hca_sample import id_of
from tests.support.postgresql_server import StoppableServer

VERSION = "2024-03-01T120000.000000Z"
FACETS = {
    "organism": "$.sample.organism",
    "age": {"path": "sample.age", "type": "number"},
    "taken": {"path": "sample.taken", "type": "date", "file": "sample*"},
    "dead": {"path": ["sample", "is.dead"], "type": "flag"},
}


def bundle_of(
    name: str, documents: dict[str, Any], *files: str, version: str = VERSION, **more: Any
) -> BundleMetadata:
    """Return a bundle with JSON metadata files, and empty files; a file of a name is the same everywhere."""
    entries = [
        {
            "name": file,
            "uuid": id_of(file),
            "version": VERSION,
            "size": 10,
            "content-type": "application/json" if file in documents else "text/csv",
            "indexed": file in documents,
            "sha256": "0" * 64,
        }
        for file in (*documents, *files)
    ]
    return BundleMetadata(Fqid(id_of(name), version), entries, documents, **more)


def document_of(plugin: GenericPlugin, bundle: BundleMetadata, entity_type: str) -> dict[str, Any]:
    """Return the document of the first entity of a type, of one bundle."""
    said = Said.of(plugin.contributions(bundle))
    key = next(key for key in said.keys if key[0] == entity_type)
    share = Share(bundle.fqid.uuid, bundle.fqid.version, ANYBODY, said.contents(key))
    where = {"uuid": bundle.fqid.uuid, "version": bundle.fqid.version}
    return {
        **plugin.document(entity_type, tally(plugin.merges[entity_type], [share])),
        "entity_id": key[1],
        "bundles": [where],
        "sources": [{"id": "s", "spec": "s"}],
    }


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"facets": ["a"]}, "facets: must be an object"),
        ({"facets": {f"f{number}": "a" for number in range(51)}}, "there are 51, at most 50"),
        ({"facets": {"1st": "a"}}, "facets.1st: a name is a letter"),
        ({"facets": {"fileName": "a"}}, "facets.fileName: every catalogue has"),
        ({"facets": {"accessible": "a"}}, "facets.accessible: every catalogue has"),
        ({"facets": {"a": 5}}, "facets.a: must be a path"),
        ({"facets": {"a": {"path": "b", "kind": "text"}}}, "facets.a: must be a path"),
        ({"facets": {"a": {"path": "b", "type": "range"}}}, "must be one of text, flag, number, date"),
        ({"facets": {"a": {"path": "b", "type": []}}}, "must be one of text, flag, number, date"),
        ({"facets": {"a": {"path": "b", "file": 1}}}, "facets.a: file: must be a text"),
        ({"facets": {"a": "b..c"}}, "keys joined by dots"),
        ({"facets": {"a": ""}}, "keys joined by dots"),
        ({"facets": {"a": []}}, "1 to 20 keys, not 0"),
        ({"facets": {"a": "b[*].c"}}, "lists need no step"),
        ({"words": "title"}, "words: must be a list"),
        ({"words": ["a", 5]}, "words[1]: a path is keys"),
        ({"require": 5}, "require: must be a text"),
        ({"facet": {}}, "its options are: facets, require, words"),
    ],
)
def test_an_option_that_is_not_usable_is_named(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError) as caught:
        open_plugin("generic", host="h", **options)

    assert why in str(caught.value)


def test_lists_are_looked_into_wherever_they_are() -> None:
    document = [{"a": [{"b": [1, [2]]}, {"b": {"c": 3}}, 4]}, {"a": {"b": None}}, "a"]

    assert list(values_at(document, ("a", "b"))) == [1, 2, {"c": 3}, None]
    deep: Any = "x"
    for _ in range(10_000):
        deep = [deep]
    assert list(values_at({"a": deep}, ("a",))) == ["x"]


def test_values_have_the_type_of_their_facet_or_are_left_out() -> None:
    sample = {
        "organism": ["b", 5, True, None, "", {"x": 1}, "b", "a\0\ud800"],
        "age": [1, "2", 2.5, True, float("nan"), 10**400],
        "taken": ["2024-01-31", "2024-01-31T01:00:00+01:00", "yesterday", 5],
        "is.dead": [True, "no"],
    }
    plugin = GenericPlugin(host="h", facets=FACETS)
    bundle = bundle_of(
        "b", {"sample.json": {"sample": sample}, "other.json": {"sample": {"taken": "1999-01-01"}}}
    )

    shown = plugin.hit("bundles", document_of(plugin, bundle, "bundles"))["metadata"]

    assert shown == {
        "organism": ["5", "a?", "b", "true"],
        "age": [1, 2.5],
        "taken": ["2024-01-31T00:00:00.000000Z"],
        "dead": [True],
        "incomplete": [],
    }


def test_what_is_too_much_is_left_out_and_said_to_be_incomplete() -> None:
    plugin = GenericPlugin(host="h", facets={"many": "many", "long": "long", "all": "all", "few": "few"})
    content = {
        "many": list(range(MOST_VALUES + 1)),
        "long": "x" * (MOST_CHARACTERS + 1),
        "all": [f"{number:0{MOST_CHARACTERS}}" for number in range(MOST_TEXT // MOST_CHARACTERS)],
        "few": [],
    }

    found = document_of(plugin, bundle_of("b", {"a.json": content}), "bundles")
    lost = document_of(plugin, bundle_of("b", {}, left_out={"a.json": "is no JSON"}), "bundles")

    (metadata,) = found["contents"]["metadata"]
    assert [len(metadata["many"]), len(metadata["long"][0])] == [MOST_VALUES, MOST_CHARACTERS]
    assert len(metadata["all"]) < len(content["all"])
    assert metadata["incomplete"] == ["all", "long", "many"]
    assert lost["contents"]["metadata"][0]["incomplete"] == ["all", "few", "long", "many"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)


@settings(max_examples=50)
@given(
    st.dictionaries(st.sampled_from(["x.json", "y.json"]), _JSON, max_size=2),
    st.text(st.characters(codec=None)),
)
def test_any_json_makes_documents_that_a_database_can_hold(documents: dict[str, Any], name: str) -> None:
    facets = {kind: {"path": "a", "type": kind} for kind in ("text", "number", "date", "flag")}
    plugin = GenericPlugin(host="h", facets={**facets, "deep": "a.b"}, words=["b", "c"])
    bundle = bundle_of("b", documents, "data")
    bundle.files[-1]["name"] = name

    for entity_type in ("files", "bundles"):
        document = document_of(plugin, bundle, entity_type)
        row = row_of(document, plugin.fields)
        terms = sorted(term for part in row.parts.values() for term in part.terms)
        shown = plugin.hit(entity_type, document)
        text = json.dumps([shown, document, row.values, terms], allow_nan=False)
        assert "\\u0000" not in text
        assert "\0" not in plugin.words(document)
        plugin.words(document).encode()
        json.dumps(document, ensure_ascii=False).encode()
        assert plugin.sums(entity_type, document) == ([10] if entity_type == "files" else [])


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a/b.CSV", "csv"),
        ("x.fastq.gz", "fastq.gz"),
        ("x.gz", "gz"),
        ("a.b/c", None),
        ("x", None),
        ("x.", None),
    ],
)
def test_the_format_is_the_ending_of_the_name(name: str, form: str | None) -> None:
    assert file_format(name) == form


def test_a_bundle_without_the_required_file_is_left_out() -> None:
    plugin = GenericPlugin(host="h", require="sample*.json")

    assert plugin.accepts(bundle_of("b", {"sample_1.json": 5}))
    assert not plugin.accepts(bundle_of("b", {"other.json": {}}, "sample_1.json"))
    assert GenericPlugin(host="h").accepts(bundle_of("b", {}))


@pytest.fixture
def labs(postgresql: StoppableServer) -> Iterator[TestCatalogue]:
    """A catalogue with the facets, and bundles of mice and men, which share one file."""
    with open_catalogue(postgresql.dsn, plugin="generic", facets=FACETS, words=["title"]) as catalogue:
        mouse = {"sample": {"organism": "mouse", "age": 2}, "title": "An old mouse"}
        human = {"sample": {"organism": "human", "age": 40, "taken": "2024-01-31", "is.dead": True}}
        catalogue.put(bundle_of("m", {"mouse.json": mouse}, "shared_reads.csv", "x.fastq.gz"))
        catalogue.put(bundle_of("h", {"sample.json": human}, "shared_reads.csv"))
        catalogue.put(bundle_of("n", {}, "lonely"))
        yield catalogue


def test_entities_are_found_by_facets_ranges_and_files(labs: TestCatalogue) -> None:
    mouse, human, none = id_of("m"), id_of("h"), id_of("n")
    shared = id_of("shared_reads.csv")

    assert labs.ids("bundles", {"organism": {"is": ["mouse"]}}) == [mouse]
    assert labs.ids("bundles", {"organism": {"is": [None]}}) == [none]
    assert labs.ids("bundles", {"age": {"within": [[30, 50]]}}) == [human]
    assert labs.ids("bundles", {"dead": {"is": [True]}}) == [human]
    day = ["2024-01-31T00:00:00.000000Z", "2024-01-31T23:59:59.999999Z"]
    assert labs.ids("bundles", {"taken": {"within": [day]}}) == [human]
    assert labs.ids("bundles", {"fileFormat": {"is": ["fastq.gz"]}}) == [mouse]
    # Their documents have formats of files, and not each file.
    shared = id_of("shared_reads.csv")
    assert labs.ids("bundles", {"fileId": {"is": [shared]}}) == sorted([mouse, human])
    assert labs.ids("bundles", {"fileId": {"is": [shared, "x"]}, "dead": {"is": [True]}}) == [human]
    assert labs.ids("bundles", {"fileId": {"is": ["x"]}}) == []
    for organism in ("mouse", "human"):
        assert shared in labs.ids("files", {"organism": {"is": [organism]}})
    assert labs.ids("files", {"fileName": {"is": ["lonely"]}, "bundleUuid": {"is": [none]}}) == [
        id_of("lonely")
    ]


def test_words_are_those_of_texts_facets_and_names(labs: TestCatalogue) -> None:
    def found(entity_type: str, words: str) -> set[str]:
        order = PageOrder(sort=labs.fields["entryId"], descending=False, size=10)
        query = Query(entity_type=entity_type, words=words)
        return {each.entity_id for each in labs.store.page(labs.catalogue, ANYBODY, query, order).found}

    assert found("bundles", "old mouse") == {id_of("m")}
    assert found("files", "reads") == found("files", "shared_reads.csv") == {id_of("shared_reads.csv")}


def test_facets_are_counted_and_files_summed_up(labs: TestCatalogue) -> None:
    total, counts = labs.counts("bundles")
    summary = labs.summary({"organism": {"is": ["human"]}})

    assert (total, dict(counts["organism"].terms)) == (3, {"human": 1, "mouse": 1, None: 1})
    assert "age" not in counts
    assert summary == {
        "bundleCount": 1,
        "fileCount": 2,
        "totalFileSize": 20,
        "fileTypeSummaries": [
            {"format": "csv", "count": 1, "totalSize": 10},
            {"format": "json", "count": 1, "totalSize": 10},
        ],
    }
    assert labs.summary()["fileCount"] == 5


def test_hits_have_the_file_or_the_formats_of_a_bundle(labs: TestCatalogue) -> None:
    def shown(entity_type: str, entity_id: str) -> dict[str, Any]:
        found = labs.store.one(labs.catalogue, ANYBODY, labs.query(entity_type), entity_id)
        assert found
        return hit_form(labs.catalogue, entity_type, found, "https://dss.example")

    file, bundle = shown("files", id_of("shared_reads.csv")), shown("bundles", id_of("m"))

    assert [each["bundleUuid"] for each in file["bundles"]] == sorted([id_of("m"), id_of("h")])
    assert (file["files"][0]["name"], file["files"][0]["drs_uri"]) == (
        "shared_reads.csv",
        f"drs://dss.example/{id_of('shared_reads.csv')}.{VERSION}",
    )
    assert file["files"][0]["url"].startswith(
        f"https://dss.example/repository/files/{id_of('shared_reads.csv')}?"
    )
    assert file["metadata"]["organism"] == ["human", "mouse"]
    formats = {each["format"]: (each["count"], each["totalSize"]) for each in bundle["fileTypeSummaries"]}
    assert formats == {"json": (1, 10), "csv": (1, 10), "fastq.gz": (1, 10)}


def test_a_file_with_two_names_is_one_file_and_found_by_both(labs: TestCatalogue) -> None:
    bundle = bundle_of("twice", {}, "one.txt", version="2024-04-01T120000.000000Z")
    bundle.files.append({**bundle.files[0], "name": "two.txt"})  # type: ignore[attr-defined] # a list

    labs.store.put(
        labs.catalogue,
        BundleState(
            fqid=bundle.fqid,
            state=INDEXED,
            labels=ANYBODY,
            said=Said.of(labs.catalogue.plugin.contributions(bundle)),
        ),
    )

    for name in ("one.txt", "two.txt"):
        assert labs.ids("files", {"fileName": {"is": [name]}}) == [id_of("one.txt")]
    [shown] = labs.catalogue.plugin.hit("files", labs.document("files", id_of("one.txt")))["files"]
    assert (shown["name"], shown["aliases"]) == ("one.txt", ["two.txt"])
