"""`verbatim.pfb`: the metadata as it was written, with types that are inferred of it."""

import io
import json
from collections.abc import Iterable
from typing import Any

import fastavro
import pytest

from shared.explore.bundle_metadata import BundleMetadata
from shared.explore.generic.plugin import GenericPlugin
from shared.explore.manifests.content import Checkpoint, Saved
from shared.explore.manifests.formats import open_format, verbatim_pfb
from shared.identifiers import Fqid
from tests.support.hca_sample import PLUGIN, VERSION, id_of, sequenced
from tests.support.selections import Documents, content_of, resumed_contents

FORMAT = open_format("verbatim.pfb")


def read_pfb(content: bytes) -> tuple[list[str], list[Any]]:
    """Return the names of the types of a file, and its entities."""
    metadata, *entities = fastavro.reader(io.BytesIO(content))
    return [each["name"] for each in metadata["object"]["nodes"]], entities


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def written(documents: Iterable[Any]) -> list[str]:
    return sorted(json.dumps(without_nulls(each), sort_keys=True) for each in documents)


def any_bundle(name: str, **documents: Any) -> BundleMetadata:
    """Return a bundle with JSON files, and a file of data."""
    row = {"version": VERSION, "size": 1, "content-type": "text/csv", "sha256": "0" * 64}
    entries = [{**row, "name": f"{each}.json", "uuid": id_of(each), "indexed": True} for each in documents]
    entries.append({**row, "name": "data.csv", "uuid": id_of(name), "indexed": False})
    return BundleMetadata(
        Fqid(id_of(name), VERSION), entries, {f"{each}.json": value for each, value in documents.items()}
    )


def test_each_document_is_an_entity_once_and_as_it_was_written() -> None:
    bundles = [sequenced(name).metadata() for name in ("one", "two")]
    documents = [each for bundle in bundles for each in bundle.documents.values()]

    types, entities = read_pfb(content_of(FORMAT, Documents.of(PLUGIN, *bundles)))

    assert written(each["object"] for each in entities) == sorted(set(written(documents)))
    assert sorted({each["name"] for each in entities}) == types
    assert len({each["id"] for each in entities}) == len(entities)
    by_name = {each["name"]: each for each in entities}
    assert by_name["donor_organism"]["id"] == id_of("donor of specimen")
    assert {each["id"] for each in entities if each["name"] == "links"} == {id_of("one"), id_of("two")}
    assert not any(each["relations"] for each in entities)


def test_only_documents_of_the_selected_files_are_in_it() -> None:
    bundle = sequenced("one")
    bundle.add("donor_organism", "another donor")
    selection = Documents.of(PLUGIN, bundle.metadata())
    selection.documents = selection.documents[:1]

    _, entities = read_pfb(content_of(FORMAT, selection))

    names = [each["name"] for each in entities]
    assert names.count("donor_organism") == names.count("sequence_file") == 1


def test_it_goes_on_from_any_checkpoint_with_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verbatim_pfb, "_BUNDLES_AT_ONCE", 1)
    selection = Documents.of(PLUGIN, *(sequenced(name).metadata() for name in ("one", "two", "three")))

    contents = resumed_contents(FORMAT, selection)

    # Three bundles for the schema, and three for the entities.
    assert len(contents) == 6
    assert set(contents) == {content_of(FORMAT, selection)}


def test_two_documents_with_one_id_have_two() -> None:
    old, new = sequenced("one", specimen="same"), sequenced("two", specimen="same", organ="liver")

    _, entities = read_pfb(content_of(FORMAT, Documents.of(PLUGIN, old.metadata(), new.metadata())))

    organs = {
        each["id"]: each["object"]["organ"]["text"]
        for each in entities
        if each["name"] == "specimen_from_organism"
    }
    assert sorted(organs.values()) == ["brain", "liver"]
    first, second = sorted(organs, key=len)
    assert first == id_of("same") and second.startswith(f"{first}.")


def test_any_json_is_written_with_its_types() -> None:
    plugin = GenericPlugin(host="h")
    bundles = [
        any_bundle("one", sample={"age": 1, "10x": {"a": [1, "b"]}}, table=[1, 2]),
        any_bundle("two", sample={"age": 2.5, "more": None}, table=[], Node={"x": True}),
    ]

    types, entities = read_pfb(content_of(FORMAT, Documents.of(plugin, *bundles)))

    assert types == ["Node_x_", "sample", "table"]
    ids = {each["id"]: each for each in entities}
    assert ids[f"{id_of('one')}/sample.json"]["object"] == {
        "age": 1.0,
        "10x": {"a": [1, "b"]},
        "more": None,
    }
    assert ids[f"{id_of('two')}/sample.json"]["object"] == {"age": 2.5, "10x": None, "more": None}
    assert ids[f"{id_of('one')}/table.json"]["object"] == {"value": [1, 2]}
    assert ids[f"{id_of('two')}/Node.json"]["object"] == {"x": True}


def test_documents_of_too_many_types_and_with_long_names_are_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verbatim_pfb, "MOST_TYPES", 1)
    bundle = any_bundle("one", a={"x": 1}, b={"y": "ü"}, **{"c" * 300: {"z": 1}})

    types, entities = read_pfb(content_of(FORMAT, Documents.of(GenericPlugin(host="h"), bundle)))

    assert types == ["a"]
    others = {each["object"]["type"]: each for each in entities if each["name"] != "a"}
    assert json.loads(others["b"]["object"]["value"]) == {"y": "ü"}
    assert all(len(each["id"]) <= 254 for each in entities)
    assert len(others) == 2


def test_what_comes_while_it_is_made_is_not_lost() -> None:
    early = Documents.of(PLUGIN, sequenced("one").metadata())
    changed = sequenced("two")
    changed.document(changed.project)["new"] = {"field": [1]}
    both = Documents.of(PLUGIN, sequenced("one").metadata(), changed.metadata())
    checkpoint = next(each for each in FORMAT.content(early) if isinstance(each, Checkpoint))

    # The position is behind all bundles: the types of those that are in it now are not read.
    last = Saved([False, "g", ""], checkpoint.memory())
    content = b"".join(each for each in FORMAT.content(both, last) if isinstance(each, bytes))

    _, entities = read_pfb(content)
    (other,) = (each["object"] for each in entities if each["name"] == "other_document")
    assert other["type"] == "project" and json.loads(other["value"])["new"] == {"field": [1]}


def test_a_selection_of_nothing_is_a_file_without_entities() -> None:
    assert read_pfb(content_of(FORMAT, Documents(PLUGIN, []))) == ([], [])
