"""rclone copies to and from the server, large files by resumable uploads whose chunks are sent by POST."""

import os
import subprocess

import pytest
import requests

from tests.local.gcs.test_uploads import BLOCK, CONTENT, begin


@pytest.fixture
def rclone(server, tmp_path):
    """Return a function that runs rclone, with `gcs:` for the server."""
    settings = {
        "TYPE": "google cloud storage",
        "ANONYMOUS": "true",
        "ENDPOINT": f"{server.address}/storage/v1/",
        # Otherwise it sends access control lists.
        "BUCKET_POLICY_ONLY": "true",
    }
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "NO_PROXY": "127.0.0.1",
        **{f"RCLONE_CONFIG_GCS_{name}": value for name, value in settings.items()},
    }

    def run(*arguments):
        # One attempt: a failure must not be hidden by a second one.
        command = ["rclone", "--retries", "1", "--config", os.devnull, *map(str, arguments)]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize("size", [0, 1, 16 * 1024 * 1024 + 7, 40 * 1024 * 1024])
def test_rclone_copies_a_file_in_and_out(rclone, bucket, tmp_path, size):
    # rclone: 16 MiB is the size of a chunk.
    content = os.urandom(size)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_bytes(content)

    rclone("copy", tmp_path / "in", f"gcs:{bucket.name}/folder")
    rclone("copy", f"gcs:{bucket.name}/folder", tmp_path / "out")

    assert bucket.get_blob("folder/file").size == size
    assert (tmp_path / "out" / "file").read_bytes() == content
    assert rclone("lsf", f"gcs:{bucket.name}/folder") == "file\n"


def post(address, content, content_range, **headers):
    return requests.post(
        address, data=content, headers={"Content-Range": content_range, **headers}, timeout=60
    )


def test_chunks_by_post_are_those_of_put(server, bucket):
    address = begin(server, bucket)

    first = post(address, CONTENT[:BLOCK], f"bytes 0-{BLOCK - 1}/*")
    second = post(
        address,
        CONTENT[BLOCK : 2 * BLOCK],
        f"bytes {BLOCK}-{2 * BLOCK - 1}/*",
        **{"X-GUploader-No-308": "yes"},
    )
    last = requests.put(
        address,
        data=CONTENT[2 * BLOCK :],
        headers={"Content-Range": f"bytes {2 * BLOCK}-{len(CONTENT) - 1}/{len(CONTENT)}"},
        timeout=60,
    )

    assert (first.status_code, first.headers["Range"]) == (308, f"bytes=0-{BLOCK - 1}")
    assert (second.status_code, second.headers["X-Http-Status-Code-Override"]) == (200, "308")
    assert second.headers["Range"] == f"bytes=0-{2 * BLOCK - 1}"
    assert last.status_code == 200
    assert bucket.get_blob("object").download_as_bytes() == CONTENT


def test_a_chunk_by_post_needs_an_upload_that_exists(server, bucket):
    address = begin(server, bucket).rpartition("=")[0]

    assert post(f"{address}=unknown", b"x", "bytes 0-0/1").status_code == 404
