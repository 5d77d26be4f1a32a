"""What a kill leaves, and what the next start makes of it."""

import http.client
import os
import signal
import threading

import pytest
import requests

BLOCK = 256 * 1024
CONTENT = os.urandom(6 * BLOCK + 5)


def content_files(tmp_path):
    return [path for path in (tmp_path / "data" / "content").rglob("*") if path.is_file()]


def test_the_server_ends_while_a_connection_is_open(start_server):
    running = start_server()
    connection = http.client.HTTPConnection("127.0.0.1", running.port)
    connection.request("GET", "/storage/v1/b")
    connection.getresponse().read()
    assert running.end() == 0
    connection.close()


def test_a_bad_signing_key_is_named_at_the_start(start_server, tmp_path):
    (tmp_path / "key.pem").write_text("no key")
    with pytest.raises(AssertionError, match="didn't start"):
        start_server("--signing-cert", str(tmp_path / "key.pem"))


def test_everything_is_there_after_a_kill(start_server):
    running = start_server()
    bucket = running.client().create_bucket("kept-bucket")
    for number in range(20):
        bucket.blob(f"object-{number}").upload_from_string(b"%d" % number)
    generation = bucket.get_blob("object-7").generation
    running.end(signal.SIGKILL)
    again = start_server().client().bucket("kept-bucket")
    assert again.get_blob("object-7").generation == generation
    assert [blob.download_as_bytes() for blob in again.list_blobs()]
    again.blob("object-7").upload_from_string(b"later")
    assert again.get_blob("object-7").generation > generation


def test_an_upload_that_a_kill_interrupts_leaves_nothing(start_server, tmp_path, eventually):
    running = start_server()
    running.client().create_bucket("some-bucket")
    connection = http.client.HTTPConnection("127.0.0.1", running.port)
    connection.putrequest("POST", "/upload/storage/v1/b/some-bucket/o?uploadType=media&name=object")
    connection.putheader("Content-Length", str(len(CONTENT)))
    connection.endheaders(CONTENT[:-1])
    eventually(lambda: [path for path in content_files(tmp_path) if path.stat().st_size])
    running.end(signal.SIGKILL)
    connection.close()
    again = start_server().client().bucket("some-bucket")
    assert list(again.list_blobs()) == []
    assert content_files(tmp_path) == []


def test_a_resumable_upload_goes_on_after_a_kill(start_server, tmp_path, eventually):
    running = start_server()
    bucket = running.client().create_bucket("some-bucket")
    session = bucket.blob("object").create_resumable_upload_session(size=len(CONTENT))
    where = session.replace(running.address, "")
    connection = http.client.HTTPConnection("127.0.0.1", running.port)
    connection.putrequest("PUT", where)
    connection.putheader("Content-Length", str(len(CONTENT)))
    connection.putheader("Content-Range", f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}")
    connection.endheaders(CONTENT[: 3 * BLOCK + 9])
    eventually(lambda: sum(path.stat().st_size for path in content_files(tmp_path)) >= 3 * BLOCK)
    running.end(signal.SIGKILL)
    connection.close()
    # What a kill within a write leaves: a block that isn't whole.
    [file] = content_files(tmp_path)
    with file.open("ab") as end:
        end.write(b"part of a block")
    again = start_server()
    address = again.address + where
    status = requests.put(address, headers={"Content-Range": f"bytes */{len(CONTENT)}"}, timeout=60)
    assert (status.status_code, status.headers["Range"]) == (308, f"bytes=0-{3 * BLOCK - 1}")
    rest = f"bytes {3 * BLOCK}-{len(CONTENT) - 1}/{len(CONTENT)}"
    done = requests.put(address, CONTENT[3 * BLOCK :], headers={"Content-Range": rest}, timeout=60)
    assert done.status_code == 200
    found = again.client().bucket("some-bucket").get_blob("object")
    assert (found.md5_hash, found.download_as_bytes()) == (done.json()["md5Hash"], CONTENT)


def test_a_kill_among_many_writes_leaves_only_whole_objects(start_server, tmp_path, eventually):
    running = start_server()
    bucket = running.client().create_bucket("some-bucket")
    accepted = []

    def write(writer):
        connection = http.client.HTTPConnection("127.0.0.1", running.port)
        for number in range(10_000):
            path = f"/upload/storage/v1/b/some-bucket/o?uploadType=media&name=o-{writer}-{number % 7}"
            try:
                connection.request("POST", path, b"%d" % number * 1000)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                return
            accepted.append((answer.status, writer, number))

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for writer in writers:
        writer.start()
    eventually(lambda: len(accepted) > 200)
    running.end(signal.SIGKILL)
    for writer in writers:
        writer.join()
    again = start_server().client().bucket(bucket.name)
    listed = {blob.name: blob for blob in again.list_blobs()}
    assert {status for status, _, _ in accepted} == {200}
    assert listed.keys() >= {f"o-{writer}-{number % 7}" for _, writer, number in accepted}
    for blob in listed.values():
        assert len(blob.download_as_bytes()) == blob.size
    assert len(content_files(tmp_path)) == len(listed)


def test_content_that_no_object_has_any_more_leaves_the_disk(start_server, tmp_path):
    bucket = start_server().client().create_bucket("some-bucket")
    blob = bucket.blob("object", chunk_size=BLOCK)
    blob.upload_from_string(b"one")
    blob.upload_from_string(b"two")
    bucket.copy_blob(blob, bucket, "copy")
    blob.compose([blob, blob])
    blob.create_resumable_upload_session(size=1)
    assert len(content_files(tmp_path)) == 3
    blob.delete()
    bucket.delete_blob("copy")
    assert len(content_files(tmp_path)) == 1
