"""Manifests are read as what they name, line by line; what is wrong with one is said, with the line."""

import io
import sys
import zipfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dss.errors import InvalidInput, MissingExtra
from dss.manifests.entries import BadEntry, Entry, entry_of
from dss.manifests.formats import form_of, rows
from dss.manifests.rows import COLUMNS
from tests.support.manifest_forms import FORMS, compact, curl, documents_pfb, file_document, jsonl, pfb, table

BUNDLE, FILE = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-2222222222{:02d}"
VERSION = "2026-01-02T030405.000006Z"
ROWS = [
    {
        "bundle_uuid": BUNDLE,
        "bundle_version": VERSION,
        "file_name": name,
        "file_uuid": FILE.format(number),
        "file_version": VERSION,
        "file_sha256": f"{number:064x}",
        "file_size": number,
    }
    for number, name in enumerate(("reads/r1.fastq.gz", 'of ünüsual, "name"', "3"))
]


def read(data: bytes) -> list[Entry | BadEntry]:
    """Return what a manifest names."""
    stream = io.BytesIO(data)
    return [entry_of(row) for row in rows(stream, form_of(stream))]


def problems(data: bytes) -> list[tuple[str, str]]:
    return [(each.place, each.why) for each in read(data) if isinstance(each, BadEntry)]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_names_the_same_files(form: str) -> None:
    found = read(FORMS[form](ROWS))

    assert all(isinstance(entry, Entry) for entry in found), found
    for entry, row in zip(found, ROWS, strict=True):
        assert isinstance(entry, Entry)
        assert (entry.uuid, entry.version) == (row["file_uuid"], VERSION)
        if form == "curl":
            assert (entry.size, entry.path) == (None, f"{BUNDLE}/{row['file_name']}")
            continue
        assert (entry.size, entry.sha256, entry.name) == (
            row["file_size"],
            row["file_sha256"],
            row["file_name"],
        )
        directory = f"{row['file_uuid']}.{VERSION}" if form == "pfb" else f"{BUNDLE}.{VERSION}"
        assert entry.path == f"{directory}/{row['file_name']}"


@pytest.mark.parametrize("form", ["jsonl", "pfb"])
def test_documents_of_files_are_found_among_others(form: str) -> None:
    documents = [file_document("doc-1", "a"), file_document("doc-2", "b")]
    write = {"jsonl": jsonl, "pfb": documents_pfb}[form]
    others: list[Any] = [{"describedBy": "x", "provenance": {"document_id": "d"}}] if form == "jsonl" else []

    stream = io.BytesIO(write([*documents, *others]))
    found = list(rows(stream, form_of(stream)))

    assert [row.values["document"] for row in found] == ["doc-1", "doc-2"]


def test_a_version_may_have_the_colons_of_azul() -> None:
    [entry] = read(table([{**ROWS[0], "file_version": "2026-01-02T03:04:05.000006Z"}]))

    assert isinstance(entry, Entry) and entry.version == VERSION


def test_a_file_of_several_bundles_goes_to_the_first() -> None:
    other = BUNDLE.replace("1", "9")
    [entry] = read(table([{**ROWS[2], "bundle_uuid": f"{BUNDLE} || {other}", "bundle_version": "a || b"}]))

    assert isinstance(entry, Entry) and entry.path == f"{BUNDLE}/3"


def test_columns_in_any_order_and_only_two_will_do() -> None:
    [entry] = read(table(ROWS[:1], ["x", "file_name", "file_uuid"]))

    assert isinstance(entry, Entry)
    assert (entry.version, entry.size, entry.path) == (None, None, f"{FILE.format(0)}/reads/r1.fastq.gz")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"file_uuid": "x"}, "file_uuid: 'x' is not a UUID"),
        ({"file_version": "today"}, "file_version: 'today' is not a version"),
        ({"file_size": "-1"}, "file_size: '-1' is not a number of bytes"),
        ({"file_size": "1" * 30}, "is not a number of bytes"),
        ({"file_sha256": "abc"}, "file_sha256: 'abc' is not a sha256, of 64 hexadecimal digits"),
        ({"file_name": "../up"}, "file_name: '../up' leads out of the directory"),
        ({"file_name": "/etc/passwd"}, "leads out of the directory"),
        ({"file_name": "a/../../b"}, "leads out of the directory"),
        ({"file_name": ""}, "or is empty"),
        ({"bundle_uuid": "../x"}, "bundle_uuid: '../x' is not a UUID"),
    ],
)
def test_a_line_that_is_wrong_is_named_and_the_others_are_read(change: dict[str, str], why: str) -> None:
    found = problems(table([ROWS[0], {**ROWS[1], **change}, ROWS[2]]))

    assert [place for place, _ in found] == ["line 3"]
    assert why in found[0][1]


@pytest.mark.parametrize(
    ("output", "why"), [("../up", "leads out"), ("/etc/passwd", "leads out"), ("a/./b", "leads out")]
)
def test_paths_of_curl_that_escape_are_refused(output: str, why: str) -> None:
    data = curl(ROWS[:2]).replace(f"{BUNDLE}/reads/r1.fastq.gz".encode(), output.encode())

    [(place, found)] = problems(data)

    assert (place, why in found) == ("line 7", True)


def test_urls_of_others_are_no_files_of_a_dss() -> None:
    data = curl(ROWS[:1]).replace(b"/repository/files/", b"/other/")

    [(place, why)] = problems(data)

    assert place == "line 7"
    assert "is the URL of a file of a DSS" in why


def test_a_line_with_too_few_cells_is_named_and_at_the_end_the_manifest_is_cut() -> None:
    lines = compact(ROWS).split(b"\r\n")
    lines[2] = b"a\tb"

    assert problems(b"\r\n".join(lines)) == [("line 3", "has 2 cells, of 12 columns")]
    with pytest.raises(InvalidInput, match=r"cut, or damaged: line 4: has 3 cells, of 12 columns; get it"):
        read(b"\r\n".join([*lines[:3], b"\t\t"]))


@pytest.mark.parametrize("form", [*FORMS, "jsonl"])
@given(part=st.floats(0, 1, exclude_max=True))
def test_a_manifest_that_is_cut_anywhere_names_no_file_that_it_did_not(form: str, part: float) -> None:
    documents = [file_document("doc-1", "a"), file_document("doc-2", "b")]
    whole = FORMS[form](ROWS) if form in FORMS else jsonl(documents)

    try:
        found = read(whole[: int(len(whole) * part)])
    except InvalidInput as error:
        assert "manifest" in str(error)
        return

    names = {row["file_name"] for row in ROWS}
    for entry in found[:-1]:
        assert isinstance(entry, BadEntry) or entry.name in names


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "the manifest is empty"),
        (b" \n\n", "the manifest is empty"),
        (b"<html><body>no", "begins with '<html><body>no', an HTML or XML page"),
        ("\ufefffile_uuid\tfile_name".encode("utf-16"), "UTF-16; save it as UTF-8"),
        (b"file_uuid,file_name\n1,2\n", "it is no TSV with a header"),
        (b"\x1f\x8b\x08\x00", "it is no TSV"),
        (b"PK\x03\x04garbage", "the manifest is cut, or damaged: the ZIP archive: "),
        (b"Obj\x01garbage", "cut, or damaged: after entity 0"),
        (b"PAR1garbage", "cut, or damaged: after row 0"),
        (b"uuid\tname\na\tb\n", "no column 'file_uuid', 'file_name'"),
        (b"file_uuid\tfile_nam\na\tb\n", "no column 'file_name'; did you mean 'file_nam'? (line 1)"),
        (b"file_uuid\tfile_name\tfile_uuid\n", "two columns 'file_uuid'; remove one"),
        (b"file_uuid\tfile_name\na\t\xff\xfe\n", "the manifest is not UTF-8, after line "),
        (b'file_uuid\tfile_name\na\t"b\n', "cut, or damaged: line 2: unexpected end of data"),
        (b'{"type": "x"}\n', "damaged: line 1: no 'value'"),
        (b'{"value": {}}\n{"val', "damaged: line 2: no JSON"),
        (b'url="https://x/repository/files/a"\n', "damaged: line 1: its url has no output"),
        (b'url="https://x/repos', "damaged: line 1: "),
        (b"--location\n!!!\n", "line 2: '!!!' is no option of curl"),
    ],
)
def test_what_is_no_manifest_is_refused_with_the_reason(data: bytes, why: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(data)

    assert why in str(caught.value)


def test_an_archive_without_a_table_is_refused() -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("x/data/others.tsv", "")

    with pytest.raises(InvalidInput, match=r"no BDBag with one data/participants\.tsv"):
        read(data.getvalue())


@pytest.mark.parametrize(
    ("module", "form", "extra"), [("fastavro", "pfb", "terra"), ("pyarrow", "parquet", "pandas")]
)
def test_a_form_that_needs_a_library_says_which_extra_installs_it(
    module: str, form: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = FORMS[form](ROWS)
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(MissingExtra, match=rf"pip install 'dss-client\[{extra}\]'"):
        read(data)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), max_size=5))
def test_any_name_comes_through_a_table(names: list[str]) -> None:
    found = read(table([{**ROWS[0], "file_name": name} for name in names]))

    for name, entry in zip(names, found, strict=True):
        leads_out = name.startswith("/") or {".", ".."} & set(name.split("/"))
        assert isinstance(entry, BadEntry if leads_out else Entry)
        assert entry.name == name


def test_the_table_of_a_bag_alone_is_read_as_one() -> None:
    with zipfile.ZipFile(io.BytesIO(FORMS["bag"](ROWS))) as archive:
        found = read(archive.read("manifest/data/participants.tsv"))

    assert len(found) == len(ROWS)
    assert set(COLUMNS) == set(ROWS[0])
    assert pfb(ROWS).startswith(b"Obj\x01")
