"""Every format gives the same bytes wherever its work is interrupted, and refuses no name."""

import csv
import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.explore.bundle_metadata import BundleMetadata
from shared.explore.manifests import originals
from shared.explore.manifests.columns import Column, Rows, joined, lines_of, text_of
from shared.explore.manifests.content import MOST_OF_STATE, Format, Saved
from shared.explore.manifests.formats import FORMATS, compact, curl, open_format
from shared.explore.manifests.seen import Seen
from shared.explore.manifests.selection import CatalogueSelection, SelectedFile
from shared.explore.postgresql import reader
from shared.identifiers import Fqid
from tests.support.catalogue import ANYBODY, TestCatalogue, open_catalogue
from tests.support.hca_sample import sequenced
from tests.support.postgresql_server import StoppableServer

LAB = frozenset({"lab", "*"})


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let all that is done in pages be done for two at a time."""
    for module, name in (
        (compact, "_FILES"),
        (curl, "_FILES"),
        (originals, "_BATCH"),
        (reader, "_READ_AT_ONCE"),
    ):
        monkeypatch.setattr(module, name, 2)


@pytest.fixture
def bundles(catalogue: TestCatalogue) -> list[BundleMetadata]:
    """Four bundles, one of them for LAB."""
    made = [sequenced(f"f{n}", project=f"p{n % 2}", specimen=f"s{n}").metadata() for n in range(4)]
    for number, bundle in enumerate(made):
        catalogue.put(bundle, LAB if number == 2 else ANYBODY)
    return made


def selection(
    catalogue: TestCatalogue, bundles: list[BundleMetadata], sought: frozenset[str] | None = ANYBODY
) -> CatalogueSelection:
    by_name = {bundle.fqid: bundle for bundle in bundles}

    def read(wanted: Any) -> Iterator[BundleMetadata]:
        return (by_name[fqid] for fqid in wanted if fqid in by_name)

    query = catalogue.query("files")
    return CatalogueSelection(
        catalogue.store, catalogue.catalogue, sought, query, base_url="https://dss.example", read=read
    )


def whole(made: Format, of: CatalogueSelection, saved: Saved | None = None) -> bytes:
    return b"".join(each for each in made.content(of, saved) if isinstance(each, bytes))


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("name", FORMATS)
def test_what_was_interrupted_goes_on_as_if_it_was_not(
    catalogue: TestCatalogue, bundles: list[BundleMetadata], name: str
) -> None:
    made = open_format(name)
    expected = whole(made, selection(catalogue, bundles))
    written, saved = b"", []
    for each in made.content(selection(catalogue, bundles)):
        if isinstance(each, bytes):
            written += each
        else:
            state = json.dumps(each.state)
            assert len(state) < MOST_OF_STATE
            saved.append((written, Saved(json.loads(state), each.memory())))
    assert written == expected == whole(open_format(name), selection(catalogue, bundles))
    for before, checkpoint in saved:
        assert before + whole(open_format(name), selection(catalogue, bundles), checkpoint) == expected
    assert saved or name not in ("compact", "curl", "full", "verbatim.jsonl")


@pytest.mark.usefixtures("small_pages")
def test_a_selection_is_what_its_reader_may_read(
    catalogue: TestCatalogue, bundles: list[BundleMetadata]
) -> None:
    for sought, count in ((ANYBODY, 6), (ANYBODY | {"lab"}, 8), (frozenset({"lab"}), 2), (None, 8)):
        of = selection(catalogue, bundles, sought)
        ids = [file.entity_id for file in of.files()]
        assert (len(ids), ids) == (count, sorted(ids))
        by_bundle = list(of.files_by_bundle())
        keys = [(each.bundle.uuid, each.file.entity_id) for each in by_bundle]
        assert keys == sorted(keys)
        assert sorted(ids) == sorted(each.file.entity_id for each in by_bundle)
        assert [each.file.entity_id for each in of.files_by_bundle(documents=False)] == [
            key[1] for key in keys
        ]
        assert of.read == 3 * count
    [*_, last] = ids
    assert list(of.files(last)) == list(of.files_by_bundle(keys[-1])) == []


def test_the_revision_changes_with_what_is_found_and_with_nothing_else(catalogue: TestCatalogue) -> None:
    def revision() -> int:
        return catalogue.store.revision(catalogue.catalogue)

    bundle = sequenced("revised").metadata()
    known = {revision()}
    for change in (
        lambda: catalogue.put(bundle),
        lambda: catalogue.put(bundle, LAB),
        lambda: catalogue.put(bundle),
        lambda: catalogue.delete(bundle.fqid),
    ):
        change()
        assert revision() not in known
        known.add(revision())
    latest = revision()
    catalogue.put(bundle)
    catalogue.delete(Fqid(bundle.fqid.uuid, "2024-01-01T000000.000000Z"))
    assert revision() == latest


def test_labels_that_make_no_difference_are_left_out(catalogue: TestCatalogue) -> None:
    catalogue.put(sequenced("labelled").metadata(), frozenset({"only-here", "*"}))

    assert catalogue.store.labels(None) is None
    assert catalogue.store.labels(frozenset({"only-here", "nowhere-else"})) == {"only-here"}


def test_a_catalogue_of_any_json_has_tables_and_originals(postgresql: StoppableServer) -> None:
    file = {
        "name": "a/b.csv",
        "uuid": "0d2a5f3e-5b0e-4d0e-9c5e-6a1f0c7b3e11",
        "version": "2024-03-01T120000.000000Z",
        "size": 3,
        "content-type": "text/csv",
        "indexed": False,
        "sha256": "0" * 64,
        "crc32c": "0" * 8,
    }
    described = {**file, "name": "sample_1.json", "uuid": file["uuid"][::-1], "indexed": True}
    about = {"sample": {"organism": ["mouse", "rat"]}}
    with open_catalogue(
        postgresql.dsn, plugin="generic", facets={"organism": "sample.organism"}
    ) as catalogue:
        bundle = BundleMetadata(Fqid(str(file["uuid"]), str(file["version"])), [file], {})
        bundle = BundleMetadata(
            bundle.fqid, [file, {**described, "uuid": bundle.fqid.uuid[:-1] + "2"}], {"sample_1.json": about}
        )
        catalogue.put(bundle)
        of = selection(catalogue, [bundle])
        rows = list(
            csv.DictReader(
                io.StringIO(whole(open_format("compact"), of).decode(), newline=""), delimiter="\t"
            )
        )
        first = next(row for row in rows if row["file_name"] == "a/b.csv")
        assert (first["organism"], first["file_size"], first["bundle_uuid"]) == (
            "mouse || rat",
            "3",
            bundle.fqid.uuid,
        )
        assert first["file_url"].endswith(
            f"/repository/files/{file['uuid']}?catalog={catalogue.catalogue.name}&version={file['version']}"
        )
        assert b'output="' + bundle.fqid.uuid.encode() + b'/a/b.csv"' in whole(open_format("curl"), of)
        lines = whole(open_format("verbatim.jsonl"), of).splitlines()
        assert [json.loads(line) for line in lines] == [{"type": "sample", "value": about}]
        full = whole(open_format("full"), of).decode()
        assert "sample.sample.organism" in full.splitlines()[0]
        assert "mouse||rat" in full


# With all that needs quotes.
ROW_TEXT = st.text(alphabet='ab"\t\r\n |', max_size=4)
CELLS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5))


@given(
    st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=3),
    st.lists(ROW_TEXT, min_size=1, max_size=5),
)
def test_tables_are_as_python_writes_and_reads_them(inner: list[list[Any]], row: list[str]) -> None:
    text = io.StringIO()
    csv.writer(text, "excel-tab").writerow(row)
    assert lines_of([row]) == text.getvalue()

    lists = [{"k": values[0] if len(values) == 1 else values} for values in inner]
    document = {"contents": {"files": [{}], "l": lists}}
    [[cell]] = Rows([Column("c", "l", "k")], None).of(SelectedFile("id", document))  # type: ignore[arg-type]
    assert cell == joined(value for values in inner for value in values)
    assert text_of({"unit": "year", "value": "2"}) == "2 year"


@given(st.lists(st.binary(max_size=3), max_size=300))
def test_what_was_seen_is_known_also_after_a_restart(contents: list[bytes]) -> None:
    seen, known = Seen(), set()
    for number, each in enumerate(contents):
        assert seen.add(each) is (each not in known)
        known.add(each)
        if number % 50 == 0:
            seen = Seen(seen.encode())
    assert len(seen) == len(known)


def test_thousands_are_seen_in_little_memory() -> None:
    seen = Seen()
    assert all([seen.add(str(number).encode()) for number in range(20_000)])
    assert not any([seen.add(str(number).encode()) for number in range(20_000)])
    assert seen.encode(b"head") == b"head" + seen.encode()
    assert len(seen.encode()) == 8 * 20_000


def test_what_was_seen_takes_few_bytes_also_while_it_grows() -> None:
    tracemalloc.start()
    try:
        seen = Seen()
        for number in range(40_000):
            seen.add(number.to_bytes(4))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak / len(seen) < 20


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("a/b.txt", "a/b.txt"),
        ('a<>:"|?*b', "a_______b"),
        ("a\\b", None),
        ("a\nb", None),
        ("../a", None),
        ("a//b", None),
        (" a", None),
        ("a.", None),
        ("a/con.txt", None),
        ("x" * 256, None),
        ("console.txt", "console.txt"),
        ("ü", "ü"),
    ],
)
def test_files_are_saved_under_names_that_all_systems_take(name: str, saved: str | None) -> None:
    assert curl._path({"name": name, "uuid": "the-uuid"}) == (saved or "the-uuid")
