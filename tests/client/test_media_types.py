"""A file gets the media type of its format, the same on every machine."""

import mimetypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dss.transfer.media_types import content_type_of


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a/b.json", "application/json"),
        ("a.csv", "text/csv"),
        ("A.CSV", "text/csv"),
        ("a.tsv", "text/tab-separated-values"),
        ("a.txt", "text/plain"),
        ("cells.h5ad", "application/x-hdf5"),
        ("cells.parquet", "application/vnd.apache.parquet"),
        ("reads.fastq", "text/plain"),
        ("reads.fastq.gz", "application/gzip"),
        ("a.json.gz", "application/gzip"),
        ("a.tar.gz", "application/gzip"),
        ("a.tgz", "application/gzip"),
        ("a.csv.bz2", "application/x-bzip2"),
        ("a.csv.zst", "application/zstd"),
        ("calls.vcf", "text/plain"),
        ("image.tiff", "image/tiff"),
        ("a.pdf", "application/pdf"),
        ("a.zarr/.zarray", "application/json"),
        ("a.zarr/0.0", "application/octet-stream"),
        ("a.bam", "application/octet-stream"),
        ("README", "application/octet-stream"),
        (".csv", "application/octet-stream"),
        ("csv", "application/octet-stream"),
        ("data:text/html,x", "application/octet-stream"),
    ],
)
def test_the_type_is_that_of_the_format(name: str, content_type: str) -> None:
    assert content_type_of(name) == content_type


@given(st.text())
def test_every_name_has_a_type(name: str) -> None:
    main, slash, subtype = content_type_of(name).partition("/")

    assert main and slash and subtype


def test_the_tables_of_a_machine_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    mimetypes.init()
    monkeypatch.setitem(mimetypes.types_map, ".csv", "application/vnd.ms-excel")

    assert content_type_of("a.csv") == "text/csv"
