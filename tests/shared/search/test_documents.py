"""The content of indexed documents."""

import pytest

from shared.search.documents import digest_of, indexed_document, shape_descriptor

UUID, VERSION = "0c6e5b14-5d4a-4d5c-9f1c-2f6a5a8b7e10", "2026-01-12T093000.000000Z"


def described(schema: str, version: str = "5.2.0") -> dict[str, str]:
    return {"describedBy": f"https://schema.example.org/type/{version}/{schema}"}


def metadata(**more: object) -> dict:
    return {"event_type": "CREATE", "bundle_info": {"uuid": UUID, "version": VERSION}, **more}


def listed(name: str, *, indexed: bool = True, content_type: str = "application/json") -> dict:
    return {"name": name, "indexed": indexed, "content-type": content_type}


def test_the_document_has_the_manifest_and_the_indexed_files():
    files = [
        *(listed("cell_0.json"), listed("cell_1.json", indexed=False), listed("cell_2.json")),
        *(listed("reads.fastq.gz", content_type="gzip"), listed("other.json", indexed=False)),
    ]
    contents = [described("cell"), {"not": "indexed"}, {"text": "brain"}]
    manifest = {"version": VERSION, "files": files}

    document = indexed_document(
        metadata(manifest=manifest, files={"cell_json": contents, "other_json": [{"not": "indexed"}]})
    )

    assert document == {
        "manifest": manifest,
        "uuid": UUID,
        "state": "new",
        "files": {"cell_json": [contents[0], contents[2]]},
        "shape_descriptor": "v5",
    }


def test_the_files_of_a_very_large_manifest_are_left_out():
    listing = [listed(f"{n}.bin", content_type="text/plain") for n in range(20_000)]
    for files, left in ((listing, 20_000), ([*listing, listed("cell.json")], 0)):
        document = indexed_document(
            metadata(manifest={"version": VERSION, "files": files}, files={"cell_json": [described("cell")]})
        )
        assert (document["manifest"]["version"], len(document["manifest"]["files"])) == (VERSION, left)
    assert document["files"] == {"cell_json": [described("cell")]}


def test_the_files_of_a_manifest_with_very_long_names_are_left_out():
    """Each word of a name is in the index: 20,000 names of 900 bytes can have nine million."""
    for length, files in ((157, 20_000), (158, 0)):
        listing = [listed("x" * length, content_type="text/plain") for _ in range(20_000)]
        document = indexed_document(metadata(manifest={"version": VERSION, "files": listing}, files={}))
        assert len(document["manifest"]["files"]) == files


def test_the_document_of_a_tombstone_is_its_content():
    tombstone = metadata(event_type="TOMBSTONE", email="who@example.org", reason="withdrawn")
    document = indexed_document(tombstone)
    assert document == {
        "admin_deleted": True,
        "uuid": UUID,
        "email": "who@example.org",
        "reason": "withdrawn",
    }


@pytest.mark.parametrize(
    ("files", "shape"),
    [
        ({}, None),
        ({"a_json": [{}, 5, "x", {"describedBy": 7}, {"describedBy": "no/version/a"}]}, None),
        ({"cell_json": [described("cell")], "donor_json": [described("donor", "5.0.1")]}, "v5"),
        (
            {"cell_json": [described("cell.json")], "donor_json": [described("donor", "7.0.1")]},
            "v.cell.5.donor.7",
        ),
        ({"b_json": [described("cell")], "a": [described("cell"), described("cell")]}, "v.a.cell.5.b.cell.5"),
        ({"1_json": [described("cell")]}, None),
        ({"a_json": [{"describedBy": "https://[bad/1.0.0/a"}]}, None),
    ],
)
def test_the_shape_descriptor_names_the_schemas(files, shape):
    assert shape_descriptor(files) == shape


def test_a_digest_depends_on_content_and_not_on_order():
    assert digest_of({"a": 1, "b": {"c": 2, "d": 3}}) == digest_of({"b": {"d": 3, "c": 2}, "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": "1"})
