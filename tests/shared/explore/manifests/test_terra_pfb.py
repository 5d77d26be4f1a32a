"""`terra.pfb`: files and what they came from, as the predecessor's entities."""

import io
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import fastavro
import pytest

from shared.explore.generic.plugin import GenericPlugin
from shared.explore.hca.plugin import HcaPlugin
from shared.explore.manifests.file_kinds import kinds_of
from shared.explore.manifests.formats import open_format, terra_pfb
from shared.explore.manifests.formats.terra_pfb import FileEntities
from shared.explore.manifests.seen import Seen
from shared.explore.manifests.selection import SelectedFile
from tests.support.beside import need_beside
from tests.support.hca_sample import PLUGIN, sequenced
from tests.support.reference import read
from tests.support.selections import Documents, content_of, resumed_contents

FORMAT = open_format("terra.pfb")


def read_pfb(content: bytes) -> tuple[Any, list[Any]]:
    """Return the schema of a file, and its entities."""
    reader = fastavro.reader(io.BytesIO(content))
    return reader.writer_schema, list(reader)


def in_one_order(entities: Sequence[Any]) -> list[Any]:
    """Return entities in one order of those that come before the same file: the predecessor's has no rule."""
    groups = groupby(entities, lambda each: each["name"] in ("files", "Metadata"))
    return [
        each
        for is_file, group in groups
        for each in (group if is_file else sorted(group, key=lambda each: each["id"]))
    ]


def refers_only_backwards(entities: Sequence[Mapping[str, Any]]) -> bool:
    known: set[str] = set()
    for each in entities:
        if each["id"] in known or any(to["dst_id"] not in known for to in each["relations"]):
            return False
        known.add(each["id"])
    return True


def test_the_predecessors_documents_become_its_entities() -> None:
    expected = need_beside("azul/expected")
    documents = read(expected, "joint.aggregates.json")["files"]
    theirs = [
        {
            **each,
            "object": each["object"][1] if isinstance(each["object"], list) else each["object"],
            "relations": each.get("relations", []),
        }
        for each in read(expected, "joint.manifest.terra.pfb.entities.json")
    ]

    schema, ours = read_pfb(content_of(FORMAT, Documents(HcaPlugin(host="h"), documents)))

    assert schema == read(expected, "joint.manifest.terra.pfb.schema.json")
    assert len(ours) == 111
    assert in_one_order(ours) == in_one_order(theirs)
    assert refers_only_backwards(ours)


def test_what_files_share_is_there_once_and_before_them() -> None:
    selection = Documents.of(PLUGIN, *(sequenced(name).metadata() for name in ("one", "two", "three")))

    _, (metadata, *entities) = read_pfb(content_of(FORMAT, selection))

    assert {each["name"] for each in metadata["object"]["nodes"]} == kinds_of(PLUGIN).keys()
    counts = {name: [each["name"] for each in entities].count(name) for name in ("donors", "files")}
    assert counts == {"donors": 1, "files": 6}
    assert refers_only_backwards(entities)
    file = next(each for each in entities if each["name"] == "files")
    assert {"donors", "specimens", "samples", "projects"} <= {to["dst_name"] for to in file["relations"]}
    assert all(len(each["id"]) <= 254 for each in entities)


def test_it_goes_on_from_any_checkpoint_with_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terra_pfb, "_FILES_AT_ONCE", 2)
    selection = Documents.of(PLUGIN, *(sequenced(name).metadata() for name in ("one", "two", "three")))

    contents = resumed_contents(FORMAT, selection)

    assert len(contents) == 3
    assert set(contents) == {content_of(FORMAT, selection)}


def test_a_selection_of_nothing_is_a_file_without_entities() -> None:
    _, entities = read_pfb(content_of(FORMAT, Documents(PLUGIN, [])))

    assert [each["name"] for each in entities] == ["Metadata"]


def test_of_what_has_no_ids_equal_ones_are_one() -> None:
    plugin = GenericPlugin(host="h", facets={"organ": "organ"})
    entities = FileEntities(kinds_of(plugin), Seen())

    def of(number: int, organ: str) -> list[Any]:
        file = {"document_id": f"f{number}", "uuid": f"u{number}", "size": number, "names": ["a"]}
        contents = {"files": [file], "metadata": [{"organ": [organ], "incomplete": []}]}
        return list(entities.of(SelectedFile(str(number), {"contents": contents})))

    (brain, first), (second,), (liver, third) = of(1, "brain"), of(2, "brain"), of(3, "liver")

    assert [each["object"][1]["organ"] for each in (brain, liver)] == [["brain"], ["liver"]]
    assert [each["relations"][0]["dst_id"] for each in (first, second, third)] == [
        brain["id"],
        brain["id"],
        liver["id"],
    ]


def test_ids_that_hold_what_joins_them_are_not_taken_for_others() -> None:
    entities = FileEntities(kinds_of(PLUGIN), Seen())

    def id_of(*of: str) -> str:
        contents = {"files": [], "donors": [{"document_id": list(of)}]}
        (made,) = entities.of(SelectedFile("f", {"contents": contents}))
        return str(made["id"])

    assert id_of("a_b", "c") != id_of("a", "b_c")
