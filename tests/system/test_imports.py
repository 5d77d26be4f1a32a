"""Objects that are in a cloud already become files and bundles: over the wire, by the workflow."""

from collections.abc import Iterator

import pytest

from tests.support.import_harness import ImportHarness, import_harness


@pytest.fixture(scope="module")
def rig(stack: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImportHarness]:
    with import_harness(stack, tmp_path_factory.mktemp("imports")) as found:
        yield found


def test_each_folder_becomes_a_bundle_of_its_objects(rig: ImportHarness, replica: str) -> None:
    objects = {"a/reads/1.fastq": b"ACGT", "a/about.json": b'{"organ": "brain"}', "b/2.fastq": b"TTTT"}
    source = rig.folder(replica, objects)

    listed = rig.list(source=source)
    assert (listed["status"], listed["stage"], listed["ready"]) == ("SUCCEEDED", "list", True)
    assert listed["listed"]["objects"] == 3 and listed["listed"]["bundles"] == 2
    done = rig.start(listed["uuid"])

    assert (done["status"], done["done"]["files"], done["done"]["bundles"]) == ("SUCCEEDED", 3, 2), done
    assert rig.report(listed["uuid"]) == []
