"""Values with types: what any JSON documents are written as is what they were."""

import io
import json
import math
from typing import Any

import fastavro
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.explore.manifests import inference
from shared.explore.manifests.inference import Observed, Places
from shared.explore.manifests.kinds import DOUBLE, LONG, TEXT, Listed, Record, Uuid, avro_name, or_null
from shared.explore.manifests.pfb import PfbWriter, entity, metadata_entity, schema_of
from tests.support.beside import need_beside

keys = st.sampled_from(("a", "b", "content-type", "10x", "a b", "a_b", "a_x20_b", "", "Node"))
numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=10,
)
documents = st.lists(st.dictionaries(keys, values, max_size=4), min_size=1, max_size=4)


def written(seen: Observed, contents: list[Any], name: str = "thing") -> list[Any]:
    """Return what a reader finds of documents that are written by what was seen."""
    record = seen.record().at(name)
    writer = PfbWriter(schema_of([record]))
    writer.write([metadata_entity([record.record])])
    writer.write(entity(str(number), record, each) for number, each in enumerate(contents))
    metadata, *found = fastavro.reader(io.BytesIO(writer.take()))
    assert [each["name"] for each in metadata["object"]["nodes"]] == [record.record]
    return [each["object"] for each in found]


def seen_in(contents: list[Any]) -> Observed:
    seen = Observed()
    for each in contents:
        seen.add(each)
    return seen


def same(found: Any, given_value: Any) -> bool:
    """Return whether a value is what was given, but for keys that others have, which are null."""
    if isinstance(given_value, dict) and isinstance(found, dict):
        return all(same(each, given_value.get(key)) for key, each in found.items()) and (
            found.keys() >= given_value.keys()
        )
    if isinstance(given_value, list) and isinstance(found, list):
        return len(found) == len(given_value) and all(map(same, found, given_value))
    if isinstance(given_value, int) and not isinstance(given_value, bool):
        # Beside others with a fraction it is written as they are; without, and too large, as text.
        return found == given_value or found in (json.dumps(given_value), float(given_value))
    return bool(found == given_value) and type(found) is type(given_value)


@given(documents, st.sampled_from(("thing", "Node", "10x", "a.b")))
@example([{"a b": {"a": 1}, "a_b": {"a": 1}, "a_x20_b": {"a": 1}}], "thing")
@example([{"a": [1, 2.5, None, {"b": []}, [True]]}, {"a": {"b": 2**65}}, {}], "thing")
def test_documents_are_read_as_they_were_written(contents: list[Any], name: str) -> None:
    found = written(seen_in(contents), contents, name)

    assert all(map(same, found, contents)), found


@given(documents)
def test_what_was_seen_can_be_packed_and_goes_on(contents: list[Any]) -> None:
    whole = seen_in([*contents, {"more": 1}])
    seen = seen_in(contents)
    packed = json.loads(json.dumps(seen.packed()))

    other = Observed.unpacked(packed, Places(seen.places.left))
    other.add({"more": 1})

    assert other.record() == whole.record()
    assert other.places.left == whole.places.left


def test_a_table_of_many_keys_is_text_and_takes_no_place_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "MOST_KEYS", 3)
    contents = [{"by_id": {"1": {"x": 1}, "2": {"x": 2}}}, {"by_id": {"3": 0, "4": 0}}, {"by_id": {"5": 0}}]
    seen = Observed(Places(7))
    for each in [*contents, {"by_id": None, "other": {"a": 1, "b": 2}}]:
        seen.add(each)

    found = written(seen, contents)

    assert [json.loads(each["by_id"]) for each in found] == [each["by_id"] for each in contents]
    assert seen.places.left == 7 - len(["by_id", "other", "a", "b"])


def test_no_more_places_are_kept_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "MOST_DEPTH", 4)
    deep: Any = 1
    for _ in range(200):
        deep = {"a": [deep]}
    contents = [{"wide": {str(number): number for number in range(50)}}, {"deep": deep}, {"late": [[1]]}]
    seen = Observed(Places(20))
    for each in contents:
        seen.add(each)

    wide, nested, late = written(seen, contents)

    assert json.loads(wide["wide"]) == contents[0]["wide"]
    assert json.loads(nested["deep"]["a"][0]["a"]) == deep["a"][0]["a"]
    assert late["late"] == [[1]]


def test_values_of_other_types_than_a_kind_are_text_or_null() -> None:
    record = Record(
        {"text": TEXT, "whole": LONG, "real": or_null(DOUBLE), "list": Listed(TEXT), "id": Uuid()}
    )

    made = record.at("x").value({"text": {"b": 1, "a": "ü"}, "whole": "1", "real": 10**400, "list": 5})

    assert made == {"text": '{"a": "ü", "b": 1}', "whole": None, "real": None, "list": ["5"], "id": ""}
    assert record.at("x").value({"list": None, "real": 3})["list"] == [None]
    assert math.isclose(record.at("x").value({"real": 3})["real"], 3.0)


@given(st.lists(st.text(min_size=0, max_size=4), min_size=1, max_size=3, unique=False))
def test_names_of_records_are_names_of_avro(path: list[str]) -> None:
    name = avro_name(*path)

    assert all(part.isidentifier() and part.isascii() for part in name.split("."))
    assert len(name.split(".")) == len(path)


@given(st.sets(st.text("a_xN2 0ode", max_size=8), min_size=2, max_size=5))
def test_no_two_names_become_one(names: set[str]) -> None:
    assert len({avro_name(each) for each in names}) == len(names)


def test_the_predecessors_verbatim_entities_are_what_is_written_of_them() -> None:
    path = need_beside("azul/from-azul/verbatim-hca-pfb_entities.json")
    metadata, *expected = json.loads(path.read_text())
    places = Places()
    seen: dict[str, Observed] = {}
    for each in expected:
        seen.setdefault(each["name"], Observed(places)).add(each["object"])
    records = {name: seen[name].record().at(name) for name in sorted(seen)}

    writer = PfbWriter(schema_of(records.values()))
    writer.write([metadata_entity(records)])
    writer.write(entity(each["id"], records[each["name"]], each["object"]) for each in expected)

    assert list(fastavro.reader(io.BytesIO(writer.take()))) == [metadata, *expected]
