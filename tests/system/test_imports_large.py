"""10,000 objects, a table of 100,000 rows, and an object of 20 GiB are imported; prints how long it takes.

DSS_TEST_IMPORT_OBJECTS, DSS_TEST_IMPORT_ROWS and DSS_TEST_IMPORT_MIB make them fewer and smaller.
"""

import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.checksums import MIB, ChecksumCalculator
from shared.imports.rules import bundle_uuid
from tests.support.api import new_uuid
from tests.support.copies import distinct_bytes
from tests.support.import_harness import ImportHarness, import_harness

OBJECTS = int(os.environ.get("DSS_TEST_IMPORT_OBJECTS", "10000"))
ROWS = int(os.environ.get("DSS_TEST_IMPORT_ROWS", "100000"))
SIZE = int(os.environ.get("DSS_TEST_IMPORT_MIB", str(20 * 1024))) * MIB
IN_A_FOLDER = 50
# Rows of a table about one object, and of one bundle.
OF_AN_OBJECT, OF_A_BUNDLE = 50, 100
# GCS: one object is composed of at most 32.
COMPOSED = 32
SECONDS = 6 * 3600
# Bytes of memory of a process of the function: its instances have 2 GiB.
MEMORY = 1024 * MIB

pytestmark = [pytest.mark.large, pytest.mark.timeout(SECONDS)]


@pytest.fixture(scope="module")
def rig(stack: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImportHarness]:
    with import_harness(stack, tmp_path_factory.mktemp("imports")) as found:
        yield found


def imported(rig: ImportHarness, **order: str) -> tuple[dict[str, int], list[str], float]:
    """Import a folder or table; return what was done, what was not, by its place, and in how many seconds."""
    import_id, began = new_uuid(), time.monotonic()
    assert rig.api.put(f"/imports/{import_id}", json=order).status_code == 201
    listed = rig.ended(import_id, SECONDS)
    assert listed["status"] == "SUCCEEDED", listed
    print(f"\nlisted in {time.monotonic() - began:.1f} s: {listed['listed']}", flush=True)
    assert rig.api.post(f"/imports/{import_id}/start").status_code == 202
    done = rig.ended(import_id, SECONDS)
    assert done["status"] == "SUCCEEDED", done
    places = [line["object"].partition(":")[0] for line in rig.report(import_id)]
    return done["done"], places, time.monotonic() - began


def stage(rig: ImportHarness, contents: Mapping[str, bytes]) -> None:
    """Put objects into the staging bucket, side by side."""
    with ThreadPoolExecutor(16) as threads:
        list(
            threads.map(
                lambda each: rig.clouds.stage("gcp", each[1], metadata={}, key=each[0]), contents.items()
            )
        )


def test_ten_thousand_objects_become_bundles_and_are_found_there_again(rig: ImportHarness) -> None:
    name = new_uuid()
    keys = [f"{name}/{number // IN_A_FOLDER:04d}/{number:05d}.txt" for number in range(OBJECTS)]
    stage(rig, {key: key.encode() for key in keys})
    source = f"gs://{rig.clouds.staging['gcp']}/{name}/"

    done, failed, seconds = imported(rig, source=source)
    print(f"{OBJECTS} objects: {seconds:.1f} s, {OBJECTS / seconds:.1f} a second", flush=True)
    again, failed_again, seconds = imported(rig, source=source)
    print(f"again: {seconds:.1f} s; peak memory {rig.peak_memory() // MIB} MiB", flush=True)

    bundles = -(-OBJECTS // IN_A_FOLDER)
    assert failed == failed_again == []
    assert (done["files"], done["bundles"]) == (OBJECTS, bundles)
    assert (again["files_there"], again["bundles_there"]) == (OBJECTS, bundles)
    assert rig.peak_memory() < MEMORY


def test_of_a_hundred_thousand_rows_three_are_wrong_and_the_rest_goes_in(rig: ImportHarness) -> None:
    name, bucket = new_uuid(), rig.clouds.staging["gcp"]
    keys = [f"{name}/{number}" for number in range(ROWS // OF_AN_OBJECT)]
    bundles = [new_uuid() for _ in range(ROWS // OF_A_BUNDLE)]
    rows = [
        f"gs://{bucket}/{keys[number % len(keys)]}\t{bundles[number // OF_A_BUNDLE]}\tname {number}"
        for number in range(ROWS)
    ]
    # The first line names the columns.
    wrong = {1: f"gs://{bucket}/{name}/none\tb\tx", ROWS // 2: "\tb\tx", ROWS - 1: f"gs://{bucket}/{keys[0]}"}
    for number, row in wrong.items():
        rows[number] = row
    table = f"{name}.tsv"
    stage(rig, {key: key.encode() for key in keys})
    stage(rig, {table: "\n".join(["source_url\tbundle\tname", *rows]).encode()})

    done, failed, seconds = imported(rig, table=f"gs://{bucket}/{table}")
    print(f"{ROWS} rows: {seconds:.1f} s, {ROWS / seconds:.1f} a second, peak {rig.peak_memory() // MIB} MiB")

    assert sorted(failed) == sorted(f"line {number + 2}" for number in wrong)
    assert done["files"] + done["files_there"] == ROWS - len(wrong)
    assert done["bundles"] == len(bundles)
    answer = rig.api.get(f"/v1/bundles/{bundles[0]}", replica="gcp", per_page=500)
    names = {file["name"] for file in answer.json()["bundle"]["files"]}
    assert names == {f"name {number}" for number in range(OF_A_BUNDLE) if number not in wrong}
    assert rig.peak_memory() < MEMORY


def test_an_object_of_twenty_gibibytes_goes_by_parts(rig: ImportHarness) -> None:
    pieces = max(1, min(COMPOSED, SIZE // (512 * MIB)))
    block = distinct_bytes(SIZE // pieces)
    bucket, name = rig.clouds.gcs.bucket(rig.clouds.staging["gcp"]), new_uuid()
    piece = bucket.blob(f"{name}.piece")
    piece.upload_from_string(block)
    # Our server writes all of it anew, at the speed of the disk.
    bucket.blob(f"{name}/large/one.bam").compose([piece] * pieces, timeout=SECONDS)
    piece.delete()
    calculator = ChecksumCalculator(len(block) * pieces)
    for _ in range(pieces):
        calculator.update(block)
    source = f"gs://{bucket.name}/{name}/"

    done, failed, seconds = imported(rig, source=source)
    rate = len(block) * pieces / MIB / seconds
    print(
        f"{SIZE // MIB} MiB: {seconds:.1f} s, {rate:.0f} MiB/s, peak {rig.peak_memory() // MIB} MiB",
        flush=True,
    )

    assert failed == []
    assert done["files"] == done["bundles"] == 1
    answer = rig.api.get(f"/v1/bundles/{bundle_uuid('', f'{source}large/')}", replica="gcp")
    [file] = answer.json()["bundle"]["files"]
    expected = calculator.result()
    assert (file["sha256"], file["s3_etag"]) == (expected.sha256, expected.s3_etag)
    assert rig.peak_memory() < MEMORY
