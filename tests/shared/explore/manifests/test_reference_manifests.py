"""Manifests of the predecessor's bundles are the predecessor's, byte for byte."""

import re
from pathlib import Path

import pytest

from shared.explore.manifests.formats import open_format
from shared.explore.manifests.selection import CatalogueSelection
from tests.support.beside import need_beside
from tests.support.catalogue import ANYBODY, TestCatalogue
from tests.support.reference import reference_bundles

# What follows from the names of the service and the catalogue, and DRS URIs, which have another form.
_DRS = re.compile(r"drs(?:://|%3A%2F%2F)[^\t&\"]*")
_VERSION = re.compile(r"(\d{4}-\d\d-\d\dT\d\d)(?::|%3A)(\d\d)(?::|%3A)(\d\d\.\d{6}Z)")


@pytest.fixture
def expected() -> Path:
    """The folder of the predecessor's answers."""
    return need_beside("azul/expected")


def selection(catalogue: TestCatalogue, filters: object = None) -> CatalogueSelection:
    return CatalogueSelection(
        catalogue.store,
        catalogue.catalogue,
        ANYBODY,
        catalogue.query("files", filters),
        base_url="https://service.lan",
        read=lambda _: iter(()),
    )


def made(name: str, of: CatalogueSelection) -> bytes:
    return b"".join(piece for piece in open_format(name).content(of) if isinstance(piece, bytes))


def comparable(
    content: bytes, source: str = "42848d8f-ecdc-5b32-a667-a7b5aedfc9f5", name: str = "test"
) -> list[str]:
    text = content.decode().replace(f"catalog={name}&", "catalog=test&")
    text = text.replace(source, "SOURCE").replace("https://fake_dss_instance/v1:/2", "SPEC")
    text = text.replace("https://dss.example/v1:/", "SPEC")
    return [_DRS.sub("DRS", _VERSION.sub(r"\1\2\3", line)) for line in text.splitlines(keepends=True)]


@pytest.mark.parametrize(("name", "file"), [("compact", "compact.tsv"), ("curl", "curlrc")])
def test_a_manifest_is_the_predecessors(
    catalogue: TestCatalogue, expected: Path, name: str, file: str
) -> None:
    for bundle in reference_bundles(expected):
        catalogue.put(bundle)
    found = comparable(
        made(name, selection(catalogue)), catalogue.catalogue.source["id"], catalogue.catalogue.name
    )
    want = comparable((expected / f"joint.manifest.{file}").read_bytes())
    assert found == want
