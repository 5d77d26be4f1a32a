"""A cloud that fails for a while costs time, not data: nothing wrong is available, nothing is left behind."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
import requests

from shared.checksums import MIB, checksums_of
from shared.errors import DssError, Unavailable
from shared.system import Dss
from tests.support.api import Api, Version, new_uuid
from tests.support.clouds import Clouds
from tests.support.copies import distinct_bytes, unfinished_uploads
from tests.support.dss import open_dss
from tests.support.http_proxy import Fault, HttpProxy
from tests.support.replication import (
    DIRECTIONS,
    new_bundle,
    new_file,
    read_status,
    remove_relayed,
    replicate_keys,
)
from tests.support.short_pauses import short_pauses

# Attempts that a test grants; each fault befalls fewer.
_ATTEMPTS = 5
_SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Slow down.</Message></Error>"


@dataclass(frozen=True)
class Behind:
    """The system, and the proxies behind which it has its clouds."""

    dss: Dss
    proxies: dict[str, HttpProxy]


@pytest.fixture(scope="module")
def system(stack: dict[str, str]) -> Iterator[Behind]:
    with HttpProxy(stack["STORAGE_EMULATOR_HOST"]) as gcs, HttpProxy(stack["AWS_ENDPOINT_URL"]) as s3:
        env = {**stack, "STORAGE_EMULATOR_HOST": gcs.url, "AWS_ENDPOINT_URL": s3.url}
        with open_dss(env) as dss, short_pauses():
            yield Behind(dss, {"gcp": gcs, "aws": s3})


@pytest.fixture
def behind(system: Behind) -> Iterator[Behind]:
    """The system, all well before and after."""
    for proxy in system.proxies.values():
        proxy.forget()
    yield system
    for proxy in system.proxies.values():
        proxy.forget()


# The requests of each cloud that write an object, write a part, read one, and return its metadata.
WRITES = {"gcp": ("POST", "uploadType=multipart"), "aws": ("PUT", "/blobs/")}
PARTS = {"gcp": ("PUT", "upload_id="), "aws": ("PUT", "partNumber=2")}
READS = {"gcp": ("GET", "alt=media"), "aws": ("GET", "/blobs/")}
LOOKS = {"gcp": ("GET", "/o/blobs"), "aws": ("HEAD", "/blobs/")}
MANIFESTS = {"gcp": ("POST", "uploadType=multipart"), "aws": ("PUT", "/files/")}

AT_DESTINATION = {
    "500": Fault(status=500),
    "503 SlowDown": Fault(status=503, content=_SLOW_DOWN),
    "429": Fault(status=429),
    "slow": Fault(delay=0.5),
    "reset": Fault(reset=True),
    "answer lost": Fault(lose_answer=True),
    "truncated": Fault(send_until=3000, times=2),
    "wrong byte": Fault(spoil_at=2500, times=2),
}
AT_SOURCE = {
    "500": Fault(status=500),
    "slow": Fault(delay=0.5),
    "reset": Fault(reset=True),
    "truncated": Fault(cut_at=3000, times=2),
    "wrong byte": Fault(corrupt_at=3000, times=2),
}


def new_file_to_copy(api: Api, clouds: Clouds, here: str, there: str, data: bytes) -> Version:
    """Return a new file on one replica whose blob the other lacks."""
    file = new_file(api, clouds, here, data)
    remove_relayed(clouds, there, checksums_of(data).blob_key)
    return file


def assert_comes_through(
    behind: Behind, api: Api, clouds: Clouds, file: Version, data: bytes, here: str, there: str
) -> None:
    """Fail unless a few attempts bring the file over, and none of them shows anything before."""
    key, blob = f"files/{file}", checksums_of(data).blob_key
    for _ in range(_ATTEMPTS):
        try:
            replicate_keys(behind.dss, here, key)
        except DssError:
            assert read_status(api, "files", file, there) == 404
            assert all(clouds.read(there, found) == data for found in clouds.keys(there, blob))
        else:
            break
    answer = api.get(f"/v1/files/{file.uuid}", replica=there, version=file.version)
    assert answer.status_code == 302, behind.proxies[there].exchanges
    assert requests.get(answer.headers["Location"], timeout=60).content == data
    assert clouds.read(there, key) == clouds.read(here, key)
    assert unfinished_uploads(clouds, behind.dss.replicas.named(there)) == []


def inflict(proxy: HttpProxy, harm: Fault, request: tuple[str, str]) -> Fault:
    """Let a copy of this harm befall requests of this kind, and return it."""
    harm = replace(harm, method=request[0], text=request[1])
    proxy.inflict(harm)
    return harm


@pytest.mark.parametrize("fault", AT_DESTINATION)
@pytest.mark.parametrize(("here", "there"), DIRECTIONS)
def test_a_destination_that_fails_to_write(
    behind: Behind, api: Api, clouds: Clouds, here: str, there: str, fault: str
) -> None:
    data = os.urandom(5000)
    file = new_file_to_copy(api, clouds, here, there, data)

    harm = inflict(behind.proxies[there], AT_DESTINATION[fault], WRITES[there])

    assert_comes_through(behind, api, clouds, file, data, here, there)
    assert harm.times == 0


@pytest.mark.parametrize("fault", AT_SOURCE)
@pytest.mark.parametrize(("here", "there"), DIRECTIONS)
def test_a_source_that_fails_to_read(
    behind: Behind, api: Api, clouds: Clouds, here: str, there: str, fault: str
) -> None:
    data = os.urandom(5000)
    file = new_file_to_copy(api, clouds, here, there, data)

    harm = inflict(behind.proxies[here], AT_SOURCE[fault], READS[here])

    assert_comes_through(behind, api, clouds, file, data, here, there)
    assert harm.times == 0


@pytest.mark.parametrize("fault", [Fault(status=500), Fault(reset=True)], ids=["500", "reset"])
@pytest.mark.parametrize(("here", "there"), DIRECTIONS)
def test_a_destination_that_fails_to_prove(
    behind: Behind, api: Api, clouds: Clouds, here: str, there: str, fault: Fault
) -> None:
    # Smaller ones are proved by the write itself.
    data = os.urandom(MIB + 5000)
    file = new_file_to_copy(api, clouds, here, there, data)

    # The first look finds nothing, the second is the proof.
    looks = inflict(behind.proxies[there], replace(fault, times=2), LOOKS[there])

    assert_comes_through(behind, api, clouds, file, data, here, there)
    assert looks.times == 0


@pytest.mark.parametrize("fault", ["500", "answer lost", "truncated", "wrong byte"])
@pytest.mark.parametrize(("here", "there"), DIRECTIONS)
def test_a_destination_that_fails_to_take_the_manifest(
    behind: Behind, api: Api, clouds: Clouds, here: str, there: str, fault: str
) -> None:
    data = new_uuid().encode()
    first, second = new_file(api, clouds, here, data), new_file(api, clouds, here, data)
    # So that the blob is there, and the manifest the only thing to write.
    replicate_keys(behind.dss, here, f"files/{first}")

    harm = replace(AT_DESTINATION[fault], send_until=AT_DESTINATION[fault].send_until and 50)
    harm = replace(harm, spoil_at=harm.spoil_at and 300)
    harm = inflict(behind.proxies[there], harm, MANIFESTS[there])

    assert_comes_through(behind, api, clouds, second, data, here, there)
    assert harm.times == 0


@pytest.mark.parametrize("fault", ["500", "truncated", "wrong byte"])
@pytest.mark.parametrize(("here", "there"), DIRECTIONS)
def test_a_bundle_manifest_that_is_misread_is_not_passed_on(
    behind: Behind, api: Api, clouds: Clouds, here: str, there: str, fault: str
) -> None:
    bundle = new_bundle(api, here)
    harm = replace(AT_SOURCE[fault], cut_at=AT_SOURCE[fault].cut_at and 20)
    # Within the manifest.
    harm = replace(harm, corrupt_at=harm.corrupt_at and 40)
    inflict(behind.proxies[here], harm, ("GET", "alt=media" if here == "gcp" else "/bundles/"))

    for _ in range(_ATTEMPTS):
        try:
            replicate_keys(behind.dss, here, f"bundles/{bundle}")
        except DssError:
            assert read_status(api, "bundles", bundle, there) == 404
            assert clouds.keys(there, f"bundles/{bundle}") == []

    assert clouds.read(there, f"bundles/{bundle}") == clouds.read(here, f"bundles/{bundle}")
    assert read_status(api, "bundles", bundle, there) == 200


@pytest.mark.parametrize(("here", "there"), DIRECTIONS)
def test_a_manifest_that_is_misread_claims_nothing(
    behind: Behind, api: Api, clouds: Clouds, here: str, there: str
) -> None:
    """The catalog does not know the bundle: the manifest in the bucket is all that there is."""
    known = new_bundle(api, here)
    bundle = Version(new_uuid(), known.version)
    manifest = clouds.read(here, f"bundles/{known}")
    clouds.stage(here, manifest, metadata={}, bucket=clouds.main[here], key=f"bundles/{bundle}")
    # The creator's number becomes another one, and the whole stays JSON.
    at = manifest.index(b'"creator_uid":') + len(b'"creator_uid":')
    request = ("GET", "alt=media" if here == "gcp" else "/bundles/")
    inflict(behind.proxies[here], Fault(corrupt_at=at), request)

    with pytest.raises(Unavailable, match="it did not arrive intact"):
        replicate_keys(behind.dss, here, f"bundles/{bundle}")
    replicate_keys(behind.dss, here, f"bundles/{bundle}")

    assert clouds.read(there, f"bundles/{bundle}") == manifest
    assert api.get(f"/v1/bundles/{bundle.uuid}", replica=there).json()["bundle"]["creator_uid"] == 1


@pytest.mark.parametrize(
    ("here", "there", "fault"),
    [
        ("gcp", "aws", Fault(reset=True, times=2)),
        ("gcp", "aws", Fault(spoil_at=100_000)),
        ("aws", "gcp", Fault(spoil_at=100_000)),
    ],
    ids=["gcp-aws-reset", "gcp-aws-wrong byte", "aws-gcp-wrong byte"],
)
def test_a_part_that_fails(
    behind: Behind, api: Api, clouds: Clouds, here: str, there: str, fault: Fault
) -> None:
    data = distinct_bytes(64 * MIB + 300_000)
    file = new_file_to_copy(api, clouds, here, there, data)
    # The last part is small: GCS takes it in one request.
    request = ("POST", "uploadType=multipart") if there == "gcp" else PARTS[there]
    harm = inflict(behind.proxies[there], fault, request)

    assert_comes_through(behind, api, clouds, file, data, here, there)
    assert harm.times == 0


def test_a_cloud_that_throttles_for_long_is_left_for_later(behind: Behind, api: Api, clouds: Clouds) -> None:
    data = os.urandom(5000)
    file = new_file(api, clouds, "gcp", data)
    inflict(behind.proxies["aws"], Fault(status=503, content=_SLOW_DOWN, times=1000), MANIFESTS["aws"])

    with pytest.raises(Unavailable):
        replicate_keys(behind.dss, "gcp", f"files/{file}")
    behind.proxies["aws"].forget()

    assert_comes_through(behind, api, clouds, file, data, "gcp", "aws")
