"""What makes a directory a bag or a crate, checked by the tools of BagIt, BDBag and RO-Crate themselves."""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import bagit
import pytest
from bdbag import bdbag_api
from hypothesis import given
from hypothesis import strategies as st
from rocrate.rocrate import ROCrate

from dss.api.session import Session
from dss.errors import InvalidInput, MissingExtra
from dss.export.bag import bag_files
from dss.export.contents import Contents, TagFiles
from dss.export.crate import METADATA, UNKNOWN_LICENSE, crate_files
from dss.export.forms import Form
from shared.checksums import checksums_of

VERSION = "2026-01-02T030405.000006Z"
BUNDLE = str(uuid4())
FILES = {"cells/100% of #1?.json": b"{}", "cells/ünïcode name": b"GATTACA", "a b": b"", "x~1": b"x"}
# Of a step of a path, as a bundle may have it: no control characters, slashes and backslashes.
STEPS = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="/\\"), min_size=1, max_size=20
).filter(lambda step: step not in (".", "..", "~") and step.casefold() != ".dss-download")


def contents_of(files: Mapping[str, bytes], longest: int = 255) -> Contents:
    """Return the contents of a bundle, as its DSS would list it."""
    rows: list[dict[str, Any]] = []
    for name, data in files.items():
        sums = checksums_of(data)
        rows.append(
            {
                "name": name,
                "uuid": str(uuid4()),
                "version": VERSION,
                "size": len(data),
                "content-type": "application/json",
                "sha256": sums.sha256,
                "sha1": sums.sha1,
            }
        )
    session = Session("https://dss.example.org", "")
    return Contents.of({"uuid": BUNDLE, "version": VERSION, "files": rows}, session, longest=longest)


def write(
    directory: Path, payload: str, contents: Contents, files: Mapping[str, bytes], tags: TagFiles
) -> None:
    for name, data in files.items():
        path = directory / payload / contents.paths[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for name, content in tags:
        (directory / name).write_bytes(content)


def test_a_bag_is_valid_for_the_tools_of_bagit_and_of_bdbag(tmp_path: Path) -> None:
    contents = contents_of(FILES)

    tags = bag_files(contents, holey=False)
    write(tmp_path, "data/", contents, FILES, tags)

    bag = bagit.Bag(str(tmp_path))
    assert bag.validate()
    bdbag_api.validate_bag(str(tmp_path), fast=False)
    assert bag.info["Payload-Oxum"] == f"{sum(map(len, FILES.values()))}.{len(FILES)}"
    assert bag.info["External-Identifier"] == f"drs://dss.example.org/{BUNDLE}.{VERSION}"
    assert [name for name, _ in tags][-1] == "bagit.txt"
    assert not (tmp_path / "fetch.txt").exists()


def test_a_bag_that_has_other_bytes_than_the_dss_is_not_valid(tmp_path: Path) -> None:
    contents = contents_of(FILES)
    others = {**FILES, "x~1": b"y"}

    write(tmp_path, "data/", contents, others, bag_files(contents, holey=False))

    with pytest.raises(bagit.BagValidationError, match="x~1"):
        bagit.Bag(str(tmp_path)).validate()


@given(
    names=st.lists(st.lists(STEPS, min_size=1, max_size=3).map("/".join), min_size=1, max_size=4, unique=True)
)
def test_bags_and_crates_of_any_names_are_valid(names: list[str]) -> None:
    # The names of a file system: what differs in case, or in the form of Unicode alone, is one file on some.
    if len({name.casefold() for name in names}) < len(names) or any("%0" in name for name in names):
        return
    files = {name: name.encode() for name in names}
    contents = contents_of(files)

    with tempfile.TemporaryDirectory() as bag, tempfile.TemporaryDirectory() as crate:
        write(Path(bag), "data/", contents, files, bag_files(contents, holey=False))
        write(Path(crate), "", contents, files, crate_files(contents, license_text=None))

        assert bagit.Bag(bag).validate()
        read = ROCrate(crate)
        assert {entity["name"] for entity in read.data_entities} == set(files)
        assert all(Path(entity.source).is_file() for entity in read.data_entities)


def test_a_crate_is_read_with_the_checksums_and_the_names_of_the_dss(tmp_path: Path) -> None:
    contents = contents_of(FILES)

    write(
        tmp_path, "", contents, FILES, crate_files(contents, license_text="https://spdx.org/licenses/CC0-1.0")
    )

    crate = ROCrate(tmp_path)
    assert crate.metadata["conformsTo"] == "https://w3id.org/ro/crate/1.1"
    assert crate.datePublished.isoformat() == "2026-01-02T03:04:05.000006+00:00"
    assert crate.license == "https://spdx.org/licenses/CC0-1.0"
    entities = {entity["name"]: entity for entity in crate.data_entities}
    assert entities.keys() == FILES.keys()
    for name, data in FILES.items():
        entity, sums = entities[name], checksums_of(data)
        assert (entity["sha256"], entity["sha1"]) == (sums.sha256, sums.sha1)
        assert (entity["contentSize"], entity["encodingFormat"]) == (str(len(data)), "application/json")
        assert Path(entity.source).read_bytes() == data


def test_a_crate_says_that_nobody_knows_its_license() -> None:
    [(name, content)] = crate_files(contents_of(FILES), license_text=None)

    assert name == METADATA
    assert UNKNOWN_LICENSE in content.decode()


def test_the_same_bundle_is_the_same_export() -> None:
    contents = contents_of(FILES)

    assert bag_files(contents, holey=False) == bag_files(contents, holey=False)
    assert crate_files(contents, license_text=None) == crate_files(contents, license_text=None)


def test_a_holey_bag_says_where_its_files_are() -> None:
    contents = contents_of(FILES)

    fetch = dict(bag_files(contents, holey=True))["fetch.txt"].decode().splitlines()

    assert len(fetch) == len(FILES)
    [line] = [line for line in fetch if line.endswith("data/x~1")]
    uuid = next(file.uuid for file in contents.files if file.name == "x~1")
    assert line.split("\t")[:2] == [
        f"https://dss.example.org/v1/files/{uuid}?replica=gcp&version={VERSION}",
        "1",
    ]


def test_names_that_a_directory_cant_hold_get_others_in_manifests_too(tmp_path: Path) -> None:
    files = {"a//b": b"1", f"{'x' * 300}.json": b"2"}
    contents = contents_of(files)

    write(tmp_path / "bag", "data/", contents, files, bag_files(contents, holey=False))
    write(tmp_path / "crate", "", contents, files, crate_files(contents, license_text=None))

    assert bagit.Bag(str(tmp_path / "bag")).validate()
    entities = {entity["name"]: entity for entity in ROCrate(tmp_path / "crate").data_entities}
    assert {name: Path(entity.source).read_bytes() for name, entity in entities.items()} == files
    assert contents.placed["a//b"] == "a/b"
    with pytest.raises(InvalidInput, match="--as plain"):
        contents.check_keys()


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../b", "a\nb", "~/x"])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="no directory can hold"):
        contents_of({name: b"x"})


def test_what_a_form_cant_hold_names_one_that_can() -> None:
    with pytest.raises(InvalidInput, match=r"has no files.*--as ro-crate"):
        bag_files(contents_of({}), holey=False)
    with pytest.raises(InvalidInput, match=r"%0A.*--as ro-crate"):
        bag_files(contents_of({"a%0ab": b"x"}), holey=False)
    with pytest.raises(InvalidInput, match=r"RO-Crate-metadata\.json.*--as bag"):
        crate_files(contents_of({"RO-Crate-metadata.json": b"x"}), license_text=None)
    assert crate_files(contents_of({}), license_text=None)


def test_options_of_another_form_are_refused() -> None:
    with pytest.raises(InvalidInput, match="--holey"):
        Form(name="plain", holey=True)
    with pytest.raises(InvalidInput, match="--license"):
        Form(name="bag", license_text="CC0")


@pytest.mark.parametrize(("form", "package"), [("bag", "bdbag"), ("ro-crate", "rocrate")])
def test_a_package_that_is_not_installed_is_named(
    form: Any, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Form(name=form).require()
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(MissingExtra, match=rf"--as {form} .*pip install 'dss-client\[{form}\]'"):
        Form(name=form).require()
    Form(name="plain").require()
