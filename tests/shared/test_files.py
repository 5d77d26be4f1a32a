"""A small file is verified while it is written; and its content leaves the cloud that it is in only once."""

from dataclasses import replace

import pytest

from shared.checksums import CHECKSUM_NAMES
from shared.errors import CopyTakesLonger, InvalidChecksum, ObjectChanged, ObjectNotFound
from shared.files import file_record, write_file
from shared.identifiers import Fqid, Kind, manifest_key
from shared.messages import ObjectEvent
from shared.replication import replicate
from shared.sources import find_source, source_at
from tests.support.api import new_uuid, now
from tests.support.clouds import REPLICAS
from tests.support.copies import distinct_bytes, watched
from tests.support.dss import open_dss

SIZE = 9 * 1024 * 1024 + 1


@pytest.fixture(scope="module")
def opened(stack):
    with open_dss(stack) as system:
        yield system


@pytest.fixture
def dss(opened):
    return replace(opened, replicas=watched(opened.replicas))


def prepare(dss, clouds, replica, data):
    """Stage an object; return its source, and the record of a new file."""
    source = find_source(source_at(dss.replicas, clouds.stage(replica, data)))
    return source, file_record(Fqid(new_uuid(), now()), 1, source)


@pytest.mark.parametrize("home", REPLICAS)
@pytest.mark.parametrize("size", [0, 1, SIZE])
def test_content_is_read_once_beyond_the_cloud_of_the_primary_replica(dss, clouds, home, size):
    data = distinct_bytes(size)
    source, record = prepare(dss, clouds, home, data)

    assert write_file(dss, record, source)
    event = ObjectEvent(replica=home, bucket=clouds.main[home], key=manifest_key(Kind.FILE, record.fqid))
    replicate(dss, event)

    assert dss.catalog.files.get(record.fqid).available == set(REPLICAS)
    assert dss.replicas.named("aws").store.bytes_read == (size if home == "aws" else 0)
    for name in REPLICAS:
        assert clouds.read(name, record.checksums.blob_key) == data


@pytest.mark.parametrize("home", REPLICAS)
@pytest.mark.parametrize("name", ["sha256", "sha1"])
def test_a_false_claim_leaves_nothing_on_any_replica(dss, clouds, home, name):
    source, record = prepare(dss, clouds, home, distinct_bytes(1000))
    false = replace(source.checksums, **{name: "0" * len(getattr(source.checksums, name))})

    with pytest.raises(InvalidChecksum, match=name):
        write_file(dss, replace(record, checksums=false), replace(source, checksums=false))

    assert dss.catalog.files.get(record.fqid) is None
    for each in dss.replicas:
        with pytest.raises(ObjectNotFound):
            each.store.stat(each.bucket, false.blob_key)


@pytest.mark.parametrize("home", REPLICAS)
def test_a_source_that_is_replaced_after_it_was_described_is_not_copied(dss, clouds, home):
    source, record = prepare(dss, clouds, home, distinct_bytes(1000))
    clouds.stage(home, b"other", bucket=source.object.bucket, key=source.object.key)
    with pytest.raises(ObjectChanged):
        write_file(dss, record, source)


def test_content_that_is_too_large_for_a_request_is_not_read(dss, clouds):
    object.__setattr__(dss, "settings", replace(dss.settings, inline_verify_bytes=1000))
    source, record = prepare(dss, clouds, "gcp", distinct_bytes(1001))
    with pytest.raises(CopyTakesLonger):
        write_file(dss, record, source)
    assert dss.replicas.named("gcp").store.bytes_read == 0


def test_all_four_checksums_are_compared(dss, clouds):
    source, _ = prepare(dss, clouds, "gcp", b"content")
    for name in CHECKSUM_NAMES:
        other = replace(source.checksums, **{name: "f" * 8})
        with pytest.raises(InvalidChecksum, match=f"^{name}:"):
            other.check_computed(source.checksums)
