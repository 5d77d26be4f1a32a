"""Large bundles are written within the time of a request; the content of large files never passes the API."""

import base64
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from local import probes
from local.api import api_process
from local.source_tree import python_path
from local.supervisor.ports import reserve
from local.supervisor.processes import Processes
from shared.checksums import MIB, Checksums
from tests.support.apart import catalog_apart
from tests.support.api import (
    Api,
    Version,
    assert_problem,
    new_uuid,
    now,
    put_bundle,
    put_file,
    put_large_file,
)
from tests.support.clouds import Clouds
from tests.support.http_proxy import Fault, HttpProxy
from tests.support.large_objects import VERIFIES_INLINE, peak_memory, stage_large, write_numbered_blocks
from tests.support.metered_api import MeteredApi, metered_api
from tests.support.waiting import deadline_after
from tests.system.conftest import ManyFiles, files_in_number

# More than two pages of the catalog, and a third that isn't full.
FILES = 1_200
MANY_FILES = 10_000
# Seconds within which a bundle of so many files is there.
PATIENCE = 30
# Three parts, the last of them a short one.
SOME_PARTS = 128 * MIB + 1
GIB = 1024 * MIB

# What a request can't finish is the copy workflow's, and no workflows run here.
HANDED_ON_TO_NOBODY = {(501, "not_implemented"), (503, "service_unavailable")}

OnDisk = tuple[Path, Checksums]


@pytest.fixture(scope="module")
def crowded(stack: dict[str, str]) -> Iterator[dict[str, str]]:
    """The system with a catalog of its own: so many documents would slow the tests of others."""
    env = catalog_apart(stack)
    with api_process(env) as process:
        yield {**env, "DSS_URL": process.url}
        process.kill()


@pytest.fixture(scope="module")
def api(crowded: dict[str, str]) -> Api:
    """The API of that catalog, for a writer."""
    return Api(crowded["DSS_URL"], crowded["DSS_TOKEN"])


@pytest.fixture(scope="module")
def many_files(crowded: dict[str, str], api: Api, clouds: Clouds) -> ManyFiles:
    """Return `count` files in that catalog."""
    return files_in_number(crowded, api, clouds)


@pytest.mark.parametrize("count", [FILES, pytest.param(MANY_FILES, marks=pytest.mark.large)])
def test_a_bundle_of_many_files_is_read_page_by_page_and_changed(
    api: Api, many_files: ManyFiles, replica: str, count: int
) -> None:
    files, names = many_files(replica, count), [f"{number:05d}" for number in range(count)]
    began = time.monotonic()
    bundle = put_bundle(api, replica, [file.named(name) for name, file in zip(names, files, strict=True)])
    assert time.monotonic() - began < PATIENCE
    path, query = f"/v1/bundles/{bundle.uuid}", {"replica": replica, "per_page": 500}

    pages = list(api.pages(path, **query, presignedurls=True))

    read = [file for page in pages for file in page.json()["bundle"]["files"]]
    assert [page.status_code for page in pages] == [*[206] * (-(-count // 500) - 1), 200]
    assert [file["name"] for file in read] == names
    assert [file["uuid"] for file in read] == [file.uuid for file in files]
    for file in (read[0], read[-1]):
        assert requests.get(file["url"], timeout=30).content == b"one content of many files"

    changes = {"add_files": [files[0].named("another")], "remove_files": [files[0].named(names[0])]}
    changed = api.patch(path, replica=replica, version=bundle.version, json=changes).json()
    # A page of the answer need not be a page of the catalog.
    start = count - 300
    page = api.get(path, **query, version=changed["version"], start_at=start).json()["bundle"]["files"]
    assert [file["name"] for file in page] == [*names[start + 1 :], "another"]


@pytest.fixture
def on_disk(tmp_path: Path, size: int) -> Iterator[OnDisk]:
    """A file of so many bytes on disk."""
    path = tmp_path / "large"
    yield path, write_numbered_blocks(path, size)
    path.unlink()


@pytest.fixture(scope="module")
def metered(whole_system: dict[str, str]) -> Iterator[MeteredApi]:
    """A further API of a system with workflows, with a proxy before each of its back ends."""
    with metered_api(whole_system) as api:
        yield api


@pytest.mark.parametrize(
    ("replica", "size"),
    # Each size has another content: no blob is there because another test has replicated it.
    [
        pytest.param("gcp", SOME_PARTS, id="gcp-some_parts"),
        pytest.param("aws", SOME_PARTS + 1, id="aws-some_parts"),
        pytest.param("gcp", GIB, id="gcp-gibibyte", marks=pytest.mark.large),
        # moto keeps objects in memory: 1 GiB takes 2.5, and there are three of them with the one from gcp.
        pytest.param("aws", GIB + 1, id="aws-gibibyte", marks=pytest.mark.large),
    ],
)
def test_a_large_file_goes_in_without_passing_through_the_api(
    metered: MeteredApi, whole_system: dict[str, str], on_disk: OnDisk, replica: str
) -> None:
    clouds = Clouds(whole_system)
    path, checksums = on_disk
    source = stage_large(clouds, replica, path, checksums)
    memory = peak_memory(metered.process.pid)

    with metered.usage() as usage:
        file = put_large_file(metered.api, source, replica)

    assert usage.bytes_moved < 100_000
    assert peak_memory(metered.process.pid) - memory < 32 * MIB
    assert_stored(clouds, replica, path.stat().st_size, checksums)
    answer = metered.api.get(f"/v1/files/{file.uuid}", replica=replica)
    assert int(answer.headers["X-DSS-SIZE"]) == path.stat().st_size
    assert answer.headers["X-DSS-S3-ETAG"] == checksums.s3_etag
    end = {"Range": f"bytes={path.stat().st_size - 100}-"}
    assert requests.get(answer.headers["Location"], headers=end, timeout=60).content == last_bytes(path, 100)


def assert_stored(clouds: Clouds, replica: str, size: int, checksums: Checksums) -> None:
    """Fail unless the cloud holds the blob and vouches for it."""
    if replica == "gcp":
        blob = clouds.gcs.bucket(clouds.main["gcp"]).get_blob(checksums.blob_key)
        assert (blob.size, base64.b64decode(blob.crc32c).hex()) == (size, checksums.crc32c)
    else:
        head = clouds.s3.head_object(Bucket=clouds.main["aws"], Key=checksums.blob_key)
        assert (head["ContentLength"], head["ETag"]) == (size, f'"{checksums.s3_etag}"')


def last_bytes(path: Path, count: int) -> bytes:
    """Return the end of a file."""
    with path.open("rb") as file:
        file.seek(-count, 2)
        return file.read()


def assert_refused_without_a_trace(api: Api, clouds: Clouds, replica: str, source: str, blob: str) -> None:
    """Fail unless a PUT of the source is refused, and has no effect."""
    file = Version(new_uuid(), now())

    answer = api.put(
        f"/v1/files/{file.uuid}", version=file.version, json={"source_url": source, "creator_uid": 1}
    )

    status, code = answer.status_code, answer.json()["code"]
    assert (status, code) in HANDED_ON_TO_NOBODY
    assert_problem(answer, status, code)
    assert clouds.keys(replica, blob) == clouds.keys(replica, f"files/{file.uuid}") == []
    assert api.head(f"/v1/files/{file.uuid}", replica=replica).status_code == 404
    # The name is nobody's: it has not been claimed for what never came.
    other = clouds.stage(replica, b"something smaller")
    put_file(api, other, file=file, status=201)


def test_parts_that_take_too_long_are_refused(stack: dict[str, str], clouds: Clouds, tmp_path: Path) -> None:
    path = tmp_path / "parts"
    checksums = write_numbered_blocks(path, 65 * MIB)
    source = stage_large(clouds, "aws", path, checksums)
    path.unlink()

    with HttpProxy(stack["AWS_ENDPOINT_URL"]) as s3:
        settings = {"AWS_ENDPOINT_URL": s3.url, "DSS_INLINE_COPY_SECONDS": "5", **VERIFIES_INLINE}
        with api_process(stack, settings) as hurried:
            api = Api(hurried.url, stack["DSS_TOKEN"])
            # The content is verified in time, the upload is begun, and no time is left for its parts.
            slow = Fault(method="POST", text="?uploads", delay=5)
            s3.inflict(slow)
            assert_refused_without_a_trace(api, clouds, "aws", source, checksums.blob_key)
            assert slow.times == 0
            hurried.kill()

    uploads = clouds.s3.list_multipart_uploads(Bucket=clouds.main["aws"])
    assert [one for one in uploads.get("Uploads", []) if one["Key"] == checksums.blob_key] == []


@pytest.fixture(scope="module")
def far_away(stack: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A system whose staging bucket on GCS is of another storage class, and which moves 1 MiB a call."""
    certificate = Path(stack["DSS_GS_SIGNING_KEY_FILE"]).with_suffix(".pem")
    with reserve() as keeper, Processes() as processes:
        port = keeper.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        command = (
            *(
                sys.executable,
                "-m",
                "gcs_server",
                "--port",
                str(port),
                "--data",
                str(tmp_path_factory.mktemp("gcs")),
            ),
            *("--signing-cert", str(certificate), "--rewrite-bytes-per-call", str(MIB)),
        )
        log = processes.scratch / "gcs.log"
        processes.start("gcs", command, {"PYTHONPATH": python_path()}, log=log, directory=Path.cwd())
        deadline = deadline_after(30)
        while not _answers(url):
            assert time.monotonic() < deadline, log.read_text()
        main = [stack["DSS_GS_BUCKET"], stack["DSS_GS_CHECKOUT_BUCKET"]]
        probes.create_gcs_buckets(url, stack["GOOGLE_CLOUD_PROJECT"], main)
        env = {**stack, "STORAGE_EMULATOR_HOST": url}
        staging = Clouds(env).gcs.bucket(stack["DSS_GS_STAGING_BUCKET"])
        staging.storage_class = "NEARLINE"
        staging.create()
        with api_process(env) as process:
            yield {**env, "DSS_URL": process.url}
            process.kill()


def _answers(url: str) -> bool:
    try:
        probes.answers(url)
    except probes.NotReady:
        return False
    return True


def test_an_object_that_gcs_copies_in_several_calls_is_refused(
    far_away: dict[str, str], tmp_path: Path
) -> None:
    clouds, path = Clouds(far_away), tmp_path / "content"
    checksums = write_numbered_blocks(path, 3 * MIB)
    source = stage_large(clouds, "gcp", path, checksums)

    api = Api(far_away["DSS_URL"], far_away["DSS_TOKEN"])
    assert_refused_without_a_trace(api, clouds, "gcp", source, checksums.blob_key)


def test_an_object_that_gcs_copies_in_one_call_is_accepted_in_any_class(
    far_away: dict[str, str], tmp_path: Path
) -> None:
    clouds, path = Clouds(far_away), tmp_path / "content"
    checksums = write_numbered_blocks(path, MIB)
    source = stage_large(clouds, "gcp", path, checksums)

    put_file(Api(far_away["DSS_URL"], far_away["DSS_TOKEN"]), source)

    assert_stored(clouds, "gcp", MIB, checksums)
