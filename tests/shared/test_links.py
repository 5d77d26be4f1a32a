"""Removing links from a large collection: right, and quick."""

import json
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.links import Link, without

UUIDS = [f"{n:08x}-0000-4000-8000-000000000000" for n in range(3)]
VERSION = "2026-01-01T000000.000000Z"

more = st.dictionaries(
    st.sampled_from(["label", "n", "\\", '"uuid"']),
    st.one_of(st.booleans(), st.integers(0, 1), st.text(max_size=3), st.just({"uuid": UUIDS[0]})),
    max_size=2,
)


@st.composite
def items(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["file", "bundle", "x"]))
    path = {draw(st.sampled_from(["path", "fragment"])): draw(st.sampled_from(["/a", "/b"]))}
    named = {"type": kind, "uuid": draw(st.sampled_from(UUIDS)), "version": VERSION}
    return {**draw(more), **named, **(path if kind == "x" else {})}


def removes(removed: dict[str, Any], item: dict[str, Any]) -> bool:
    """Say in other words what is removed."""

    def parts(one: dict[str, Any]) -> tuple[str, str]:
        said = {"path" if key == "fragment" else key: value for key, value in one.items()}
        known = {key: said.pop(key, None) for key in ("type", "uuid", "version", "path")}
        return json.dumps(known, sort_keys=True), json.dumps(said, sort_keys=True)

    (meaning, rest), (other_meaning, other_rest) = parts(removed), parts(item)
    return meaning == other_meaning and rest in ("{}", other_rest)


@given(st.lists(items(), max_size=8), st.lists(items(), max_size=3))
def test_a_link_goes_if_one_of_the_removed_is_equal_or_leads_to_the_same(
    held: list[dict[str, Any]], removed: list[dict[str, Any]]
) -> None:
    links = [Link.parse(item, "") for item in held]
    remaining = list(without([link.encoded for link in links], [Link.parse(item, "") for item in removed]))
    expected = [item for item in held if not any(removes(one, item) for one in removed)]
    assert [json.loads(encoded) for encoded in remaining] == expected


def test_links_to_others_are_not_parsed() -> None:
    item = {"type": "file", "uuid": UUIDS[0], "version": VERSION}
    held = [Link.parse({**item, "n": n}, "").encoded for n in range(100_000)]
    removed = [Link.parse({**item, "uuid": UUIDS[1]}, "")]
    began = time.process_time()
    assert list(without(held, removed)) == held
    assert time.process_time() - began < 1
