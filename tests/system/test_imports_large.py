"""10,000 objects, and one of 20 GiB, are imported; `make test-large` prints how long it takes.

DSS_TEST_IMPORT_OBJECTS and DSS_TEST_IMPORT_MIB make them fewer and smaller.
"""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.checksums import MIB, ChecksumCalculator
from shared.imports.rules import bundle_uuid
from tests.support.api import new_uuid
from tests.support.copies import distinct_bytes
from tests.support.import_harness import ImportHarness, import_harness

OBJECTS = int(os.environ.get("DSS_TEST_IMPORT_OBJECTS", "10000"))
SIZE = int(os.environ.get("DSS_TEST_IMPORT_MIB", str(20 * 1024))) * MIB
IN_A_FOLDER = 50
# GCS: one object is composed of at most 32.
COMPOSED = 32
SECONDS = 6 * 3600
# Bytes of memory of a process of the function: its instances have 2 GiB.
MEMORY = 1024 * MIB

pytestmark = pytest.mark.large


@pytest.fixture(scope="module")
def rig(stack: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImportHarness]:
    with import_harness(stack, tmp_path_factory.mktemp("imports")) as found:
        yield found


def imported(rig: ImportHarness, source: str) -> tuple[dict[str, int], float]:
    """Import a folder; return what was done, and in how many seconds."""
    import_id, began = new_uuid(), time.monotonic()
    assert rig.api.put(f"/imports/{import_id}", json={"source": source}).status_code == 201
    listed = rig.ended(import_id, SECONDS)
    assert listed["status"] == "SUCCEEDED", listed
    print(f"\nlisted in {time.monotonic() - began:.1f} s: {listed['listed']}", flush=True)
    assert rig.api.post(f"/imports/{import_id}/start").status_code == 202
    done = rig.ended(import_id, SECONDS)
    assert done["status"] == "SUCCEEDED", done
    assert rig.report(import_id) == []
    return done["done"], time.monotonic() - began


def test_ten_thousand_objects_become_bundles_and_are_found_there_again(rig: ImportHarness) -> None:
    name = new_uuid()
    keys = [f"{name}/{number // IN_A_FOLDER:04d}/{number:05d}.txt" for number in range(OBJECTS)]
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda key: rig.clouds.stage("gcp", key.encode(), metadata={}, key=key), keys))
    source = f"gs://{rig.clouds.staging['gcp']}/{name}/"

    done, seconds = imported(rig, source)
    print(f"{OBJECTS} objects: {seconds:.1f} s, {OBJECTS / seconds:.1f} a second", flush=True)
    again, seconds = imported(rig, source)
    print(f"again: {seconds:.1f} s; peak memory {rig.peak_memory() // MIB} MiB", flush=True)

    bundles = -(-OBJECTS // IN_A_FOLDER)
    assert (done["files"], done["bundles"]) == (OBJECTS, bundles)
    assert (again["files_there"], again["bundles_there"]) == (OBJECTS, bundles)
    assert rig.peak_memory() < MEMORY


def test_an_object_of_twenty_gibibytes_goes_by_parts(rig: ImportHarness) -> None:
    pieces = max(1, min(COMPOSED, SIZE // (512 * MIB)))
    block = distinct_bytes(SIZE // pieces)
    bucket, name = rig.clouds.gcs.bucket(rig.clouds.staging["gcp"]), new_uuid()
    piece = bucket.blob(f"{name}.piece")
    piece.upload_from_string(block)
    bucket.blob(f"{name}/large/one.bam").compose([piece] * pieces)
    piece.delete()
    calculator = ChecksumCalculator(len(block) * pieces)
    for _ in range(pieces):
        calculator.update(block)
    source = f"gs://{bucket.name}/{name}/"

    done, seconds = imported(rig, source)
    rate = len(block) * pieces / MIB / seconds
    print(
        f"{SIZE // MIB} MiB: {seconds:.1f} s, {rate:.0f} MiB/s, peak {rig.peak_memory() // MIB} MiB",
        flush=True,
    )

    assert done["files"] == done["bundles"] == 1
    answer = rig.api.get(f"/v1/bundles/{bundle_uuid('', f'{source}large/')}", replica="gcp")
    [file] = answer.json()["bundle"]["files"]
    expected = calculator.result()
    assert (file["sha256"], file["s3_etag"]) == (expected.sha256, expected.s3_etag)
    assert rig.peak_memory() < MEMORY
