"""Bounds of what files add to an index: poison metadata is left out before it takes memory."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from shared.search import bounds as real
from shared.search.analysis import most_tokens, scalar_tokens
from shared.search.bounds import MOST_PATH_CHARACTERS, MOST_PATH_STEPS, IndexBounds, nodes_in
from tests.support.queries import documents

# A tenth of the real ones, so that what exceeds them is made, and hashed, in no time.
MOST_NODES, MOST_POSTINGS = real.MOST_NODES // 10, real.MOST_POSTINGS // 10
MOST_PATH_BYTES = real.MOST_PATH_BYTES // 10

values = some.recursive(
    some.one_of(some.none(), some.booleans(), some.integers(), some.text('a",:[]{}\\é\n')),
    lambda inner: some.one_of(some.lists(inner), some.dictionaries(some.text('a",:[]{}\\'), inner)),
)


@pytest.fixture
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real, "MOST_NODES", MOST_NODES)
    monkeypatch.setattr(real, "MOST_POSTINGS", MOST_POSTINGS)
    monkeypatch.setattr(real, "MOST_PATH_BYTES", MOST_PATH_BYTES)


def added(bounds: IndexBounds, content: Any) -> str:
    nodes = nodes_in(json.dumps(content).encode())
    return bounds.exceeded_by_nodes(nodes) or bounds.add("a_json", content, nodes)


def counted(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(counted, inner)) + (isinstance(value, dict | list) and not value)


@given(values)
def test_nodes_are_counted_without_parsing(value):
    for indent in (None, 1):
        assert nodes_in(json.dumps(value, indent=indent).encode()) == counted(value)
        assert nodes_in(json.dumps(value, indent=indent, ensure_ascii=False).encode()) == counted(value)


@given(some.lists(documents))
def test_ordinary_files_are_within_the_bounds(contents):
    bounds = IndexBounds()
    assert [added(bounds, content) for content in contents] == [""] * len(contents)


@given(some.lists(values, max_size=5), some.integers(5, 60))
def test_files_are_left_out_as_if_each_was_counted(contents, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(real, "MOST_POSTINGS", most)
        patch.setattr(real, "MOST_PATH_BYTES", 10 * most)
        bounds, every = IndexBounds(), real._Counted()
        assert [added(bounds, each) for each in contents] == [every.add("a_json", each) for each in contents]


@given(some.one_of(some.text(), some.text("aß_ \u0344.3ﬃ漢"), some.integers(), some.booleans()))
def test_a_scalar_has_no_more_tokens_than_it_can_have(value):
    assert len(scalar_tokens(value)) <= most_tokens(value)


def nested(depth: int) -> Any:
    return {"a": nested(depth - 1)} if depth else 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        # 48 KB, whose paths took 1.3 GiB.
        ({"." * 48_000: 1}, f"{MOST_PATH_STEPS} steps"),
        ({"." * (MOST_PATH_STEPS - 2): 1}, f"{MOST_PATH_STEPS} steps"),
        ({"." * (MOST_PATH_STEPS - 3): 1}, ""),
        (nested(MOST_PATH_STEPS - 2), ""),
        # 0.2 MB, whose paths took 1 GiB.
        ({"k" * 100_000: {str(n): n for n in range(10_000)}}, f"{MOST_PATH_CHARACTERS} characters"),
        ({"k" * (MOST_PATH_CHARACTERS - 13): 1}, ""),
        ({f"{n:01500d}": n for n in range(1_200)}, f"longer than {MOST_PATH_BYTES} bytes"),
        ([[]] * (MOST_NODES // 2), f"{MOST_NODES} values"),
        ([[]] * (MOST_NODES // 2 - 1), ""),
        (list(range(MOST_POSTINGS // 2)), f"{MOST_POSTINGS} paths, values and words"),
        (list(range(MOST_POSTINGS // 2 - 2)), ""),
        # Words count as often as they differ.
        (" ".join(f"w{n}" for n in range(MOST_POSTINGS)), f"{MOST_POSTINGS} paths, values and words"),
        ("word " * 50_000, ""),
    ],
    ids=range(13),
)
@pytest.mark.usefixtures("small_bounds")
def test_a_file_beyond_a_bound_is_left_out_with_its_reason(content, reason):
    found = added(IndexBounds(), content)

    assert reason in found and bool(found) is bool(reason)


@pytest.mark.usefixtures("small_bounds")
def test_the_bounds_are_of_all_files_together_and_a_file_that_is_left_out_adds_nothing():
    bounds = IndexBounds()
    half = [list(range(n, n + MOST_POSTINGS // 4)) for n in range(0, MOST_POSTINGS, MOST_POSTINGS // 4)]

    assert added(bounds, half[0]) == ""
    assert "paths, values and words" in added(bounds, half[1])
    # What is there already is there once.
    assert added(bounds, half[0]) == added(bounds, half[1][:1000]) == ""


DERIVE = """
import json, sys
from shared.identifiers import Fqid
from shared.search import bounds as real
from shared.search.analysis import most_tokens, scalar_tokens
from shared.search.bounds import IndexBounds, nodes_in
from shared.search.base import IndexEntry
from shared.search.firestore.rows import row_of
from shared.search.postgresql.range_terms import range_terms_of
from shared.search.postgresql.rows import postings, scalars

def highest():
    [line] = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1024

share = int(sys.argv[1])
real.MOST_NODES, real.MOST_POSTINGS = real.MOST_NODES // share, real.MOST_POSTINGS // share
idle, bounds, contents = highest(), IndexBounds(), []
for number in range(4):
    encoded = json.dumps([{"a": {"b": {"c": n}}} for n in range(number, 196_000 // share, 4)]).encode()
    content, nodes = json.loads(encoded), nodes_in(encoded)
    if not (bounds.exceeded_by_nodes(nodes) or bounds.add("a_json", content, nodes)):
        contents.append(content)
del bounds
fqid = Fqid("0c6e5b14-5d4a-4d5c-9f1c-2f6a5a8b7e10", "2026-01-12T093000.000000Z")
entry = IndexEntry(replica="gcp", fqid=fqid, document={"files": {"a_json": contents}})
row_of(entry)
rows = postings(entry), range_terms_of(entry), scalars(entry.document)
print(len(contents), highest() - idle)
"""


@pytest.mark.parametrize("share", [10, pytest.param(1, marks=pytest.mark.large)])
def test_what_is_within_the_bounds_can_be_indexed_four_at_once(share):
    """The function has 1 GiB, and takes 100 MiB idle: of a share of the bounds, it may take that share."""
    outcome = subprocess.run(
        [sys.executable, "-c", DERIVE, str(share)], capture_output=True, text=True, check=False, timeout=250
    )

    assert outcome.returncode == 0, outcome.stderr
    files, mebibytes = map(int, outcome.stdout.split())
    assert files == 2
    assert mebibytes < 225 / share
