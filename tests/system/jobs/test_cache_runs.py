"""What the cache criteria keep is put into the checkout buckets."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from shared.bindings import change_binding
from shared.checkouts.objects import copy_of_file
from shared.checkouts.sharing import cache_file
from shared.errors import CheckoutFailed
from shared.identifiers import Fqid
from tests.support.admin_system import AdminSystem
from tests.support.api import Version, put_file

CRITERIA = json.dumps([{"type": "application/json", "max_size": 1000}])
FILL = {"kind": "fill-cache"}


@pytest.fixture(scope="module")
def keeping(system: AdminSystem) -> Iterator[AdminSystem]:
    """The system, with criteria."""
    system.front.kill()
    system.front.start(CHECKOUT_CACHE_CRITERIA=CRITERIA)
    yield system
    system.front.kill()
    system.front.start()


def file(system: AdminSystem, replica: str, size: int, content_type: str) -> Version:
    return put_file(system.api, system.clouds.stage(replica, os.urandom(size), content_type=content_type))


def test_files_within_the_criteria_are_put_into_the_bucket_of_their_replica(keeping: AdminSystem) -> None:
    kept = {name: file(keeping, name, 900, "application/json") for name in ("gcp", "aws")}
    large = file(keeping, "gcp", 1001, "application/json")
    other = file(keeping, "gcp", 10, "text/plain")
    records = keeping.dss.catalog.files.get_many(
        {Fqid(one.uuid, one.version) for one in (*kept.values(), large, other)}
    )
    place = keeping.dss.replicas.primary
    keys = {str(fqid): copy_of_file(place, "", record).key for fqid, record in records.items()}

    first = keeping.run(**FILL, page=1)
    again = keeping.run(**FILL)
    only = keeping.run(**FILL, replicas=["aws"])

    bucket = keeping.dss.replicas.named("gcp")
    in_gcs = {found.key for found in bucket.store.list(bucket.checkout_bucket, "blobs/")}
    bucket = keeping.dss.replicas.named("aws")
    in_s3 = {found.key for found in bucket.store.list(bucket.checkout_bucket, "blobs/")}
    assert keys[str(kept["gcp"])] in in_gcs and keys[str(kept["aws"])] in in_s3
    assert not {keys[str(large)], keys[str(other)]} & (in_gcs | in_s3)
    reported = [(line["replica"], line["file"]) for line in keeping.report_lines(first)]
    assert {(name, str(one)) for name, one in kept.items()} <= set(reported)
    assert len(set(reported)) == len(reported) == first.counts["cached"]
    assert first.counts["files"] < first.parts
    assert keeping.report_lines(again) == keeping.report_lines(first)
    assert {line["replica"] for line in keeping.report_lines(only)} == {"aws"}


def test_no_managed_file_is_put_into_the_bucket(keeping: AdminSystem) -> None:
    managed = file(keeping, "gcp", 600, "application/json")
    fqid = Fqid(managed.uuid, managed.version)
    public = keeping.dss.catalog.files.get(fqid)
    assert public
    place = keeping.dss.replicas.named("gcp")
    key = copy_of_file(place, "", public).key
    change_binding(
        keeping.dss,
        managed.uuid,
        "operator@example.org",
        lambda before: replace(before, readers=frozenset(("lab",))),
    )

    run = keeping.run(**FILL)
    # As if it had been bound since it was read.
    with pytest.raises(CheckoutFailed, match="is managed"):
        cache_file(keeping.dss, "gcp", public)

    assert str(managed) not in {line["file"] for line in keeping.report_lines(run)}
    assert list(place.store.list(place.checkout_bucket, key)) == []


def test_a_file_whose_content_is_lost_is_reported_and_the_rest_is_done(keeping: AdminSystem) -> None:
    lost, right = (file(keeping, "gcp", 500, "application/json") for _ in range(2))
    record = keeping.dss.catalog.files.get(Fqid(lost.uuid, lost.version))
    assert record
    content = keeping.clouds.read("gcp", record.checksums.blob_key)
    keeping.remove("gcp", record.checksums.blob_key)

    run = keeping.run(**FILL)

    keeping.overwrite("gcp", record.checksums.blob_key, content)
    reported = {line["file"]: line for line in keeping.report_lines(run)}
    assert record.checksums.blob_key in reported[str(lost)]["failed"], reported[str(lost)]
    assert "failed" not in reported[str(right)]
    assert run.counts["failed"] == 1


def test_without_criteria_there_is_nothing_to_do(keeping: AdminSystem) -> None:
    keeping.front.kill()
    keeping.front.start()
    words = keeping.run_and_fail(**FILL)

    assert "CHECKOUT_CACHE_CRITERIA is not set" in words
