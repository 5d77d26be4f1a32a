import base64
import hashlib
import http.client
import io
import os
import socket
from urllib.parse import urlsplit

import google_crc32c
import pytest
import requests
from google.api_core.exceptions import PreconditionFailed
from google.cloud.storage._media.requests import ResumableUpload

BLOCK = 256 * 1024
CONTENT = os.urandom(5 * BLOCK + 17)


def crc32c(content):
    return base64.b64encode(google_crc32c.value(content).to_bytes(4, "big")).decode()


def begin(server, bucket, size=None, **query):
    """A resumable upload of `object`; its address."""
    headers = {"X-Upload-Content-Type": "text/x"}
    if size is not None:
        headers["X-Upload-Content-Length"] = str(size)
    answer = requests.post(
        f"{server.address}/upload/storage/v1/b/{bucket.name}/o",
        params={"uploadType": "resumable", "name": "object", **query},
        json={"metadata": {"one": "1"}},
        headers=headers,
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return answer.headers["Location"]


def put(address, content=b"", content_range=None, **headers):
    if content_range:
        headers["Content-Range"] = content_range
    return requests.put(address, data=content, headers=headers, timeout=60)


def test_a_resumable_upload_in_chunks_is_the_content_as_a_whole(bucket):
    blob = bucket.blob("object", chunk_size=BLOCK)
    blob.upload_from_file(io.BytesIO(CONTENT), content_type="text/x")
    assert (blob.size, blob.content_type) == (len(CONTENT), "text/x")
    assert blob.md5_hash == base64.b64encode(hashlib.md5(CONTENT).digest()).decode()
    assert bucket.get_blob("object").download_as_bytes() == CONTENT


def test_a_stream_of_unknown_length_can_be_uploaded(bucket):
    with bucket.blob("object").open("wb", chunk_size=BLOCK, ignore_flush=True) as stream:
        for start in range(0, len(CONTENT), 100_000):
            stream.write(CONTENT[start : start + 100_000])
    assert bucket.get_blob("object").download_as_bytes() == CONTENT


def test_an_empty_resumable_upload_is_an_empty_object(bucket):
    blob = bucket.blob("object", chunk_size=BLOCK)
    blob.upload_from_file(io.BytesIO(b""))
    assert (blob.size, blob.exists()) == (0, True)


def test_nothing_is_visible_before_the_last_byte(server, bucket):
    address = begin(server, bucket)
    assert put(address, CONTENT[:BLOCK], f"bytes 0-{BLOCK - 1}/*").status_code == 308
    assert not bucket.blob("object").exists()


def test_the_status_says_how_much_has_arrived(server, bucket):
    address = begin(server, bucket)
    before = put(address, content_range="bytes */*")
    assert (before.status_code, before.headers.get("Range")) == (308, None)
    part = put(address, CONTENT[: 2 * BLOCK], f"bytes 0-{2 * BLOCK - 1}/*")
    assert part.headers["Range"] == f"bytes=0-{2 * BLOCK - 1}"
    between = put(address, content_range=f"bytes */{len(CONTENT)}")
    assert (between.status_code, between.headers["Range"]) == (308, f"bytes=0-{2 * BLOCK - 1}")
    size = len(CONTENT)
    done = put(address, CONTENT[2 * BLOCK :], f"bytes {2 * BLOCK}-{size - 1}/{size}")
    assert (done.status_code, done.json()["metadata"]) == (200, {"one": "1"})
    after = put(address, content_range="bytes */*")
    assert (after.status_code, after.json()["generation"]) == (200, done.json()["generation"])


def test_an_upload_can_be_sent_in_one_request(server, bucket):
    address = begin(server, bucket, len(CONTENT))
    assert put(address, CONTENT).json()["size"] == str(len(CONTENT))


def test_a_client_recovers_an_interrupted_upload(server, bucket, client):
    """The connection breaks off within a chunk; the client asks, and goes on from there."""
    path = f"{server.address}/upload/storage/v1/b/{bucket.name}/o?uploadType=resumable"
    upload = ResumableUpload(path, 4 * BLOCK, checksum=None)
    upload.initiate(client._http, io.BytesIO(CONTENT), {"name": "object"}, "text/x", len(CONTENT))
    range_header = f"Content-Range: bytes 0-{4 * BLOCK - 1}/*\r\n"
    send_in_part("PUT", upload.resumable_url, CONTENT[: 2 * BLOCK + 5], 4 * BLOCK, range_header)
    upload._make_invalid()
    upload.recover(client._http)
    assert upload.bytes_uploaded == 2 * BLOCK
    while not upload.finished:
        upload.transmit_next_chunk(client._http)
    assert bucket.get_blob("object").download_as_bytes() == CONTENT


@pytest.mark.parametrize("upload_type", ["media", "multipart"])
def test_an_upload_that_breaks_off_stores_nothing(server, bucket, upload_type):
    address = f"{server.address}/upload/storage/v1/b/{bucket.name}/o?uploadType={upload_type}&name=object"
    content = b"--edge\r\n\r\n{}\r\n--edge\r\n\r\ncontent\r\n--edge--"
    kind = "Content-Type: multipart/related; boundary=edge\r\n"
    send_in_part("POST", address, content, len(content) + 1, kind)
    assert not bucket.blob("object").exists()


def send_in_part(method, address, sent, announced, header):
    """Sends less than is announced, and goes away when the server has read it."""
    where = urlsplit(address)
    head = (
        f"{method} {where.path}?{where.query} HTTP/1.1\r\nHost: {where.netloc}\r\n"
        f"Content-Length: {announced}\r\n{header}\r\n"
    )
    with socket.create_connection((where.hostname, where.port)) as connection:
        connection.sendall(head.encode() + sent)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""


def test_bytes_that_were_received_are_skipped_when_sent_again(server, bucket):
    address = begin(server, bucket)
    put(address, CONTENT[: 2 * BLOCK], f"bytes 0-{2 * BLOCK - 1}/*")
    size = len(CONTENT)
    answer = put(address, CONTENT[BLOCK:], f"bytes {BLOCK}-{size - 1}/{size}")
    assert answer.json()["crc32c"] == crc32c(CONTENT)


@pytest.mark.parametrize(
    ("content_range", "length", "status"),
    [
        (f"bytes {BLOCK}-{2 * BLOCK - 1}/*", BLOCK, 503),
        ("bytes 0-99/*", 100, 400),
        (f"bytes 0-{BLOCK - 1}/*", BLOCK - 1, 400),
        ("bytes 0-99/50", 100, 400),
        ("bytes 0-99/100", 100, 400),
        ("octets 0-99/100", 100, 400),
    ],
    ids=["gap", "no whole blocks", "body too short", "beyond the total", "other total", "malformed"],
)
def test_a_chunk_that_does_not_fit_is_refused_and_changes_nothing(
    server, bucket, content_range, length, status
):
    address = begin(server, bucket, size=len(CONTENT))
    assert put(address, CONTENT[:length], content_range).status_code == status
    assert put(address, CONTENT).json()["crc32c"] == crc32c(CONTENT)


def test_a_cancelled_upload_takes_nothing_more(server, bucket):
    address = begin(server, bucket)
    put(address, CONTENT[:BLOCK], f"bytes 0-{BLOCK - 1}/*")
    assert requests.delete(address, timeout=60).status_code == 499
    assert put(address, CONTENT).status_code == 499
    assert not bucket.blob("object").exists()


def test_an_upload_nobody_began_is_not_found(server, bucket):
    address = begin(server, bucket).partition("upload_id=")[0] + "upload_id=other"
    assert put(address, CONTENT).status_code == 404


def test_a_resumable_upload_heeds_preconditions_at_its_beginning_and_at_its_end(server, bucket):
    address = begin(server, bucket, ifGenerationMatch=0)
    bucket.blob("object").upload_from_string(b"first")
    assert put(address, CONTENT).status_code == 412
    assert put(address, CONTENT).status_code == 404
    blob = bucket.blob("object", chunk_size=BLOCK)
    with pytest.raises(PreconditionFailed):
        blob.upload_from_file(io.BytesIO(CONTENT), if_generation_match=0)
    assert bucket.get_blob("object").download_as_bytes() == b"first"


@pytest.mark.parametrize("claim", ["crc32c=AAAAAA==", "md5=AAAAAAAAAAAAAAAAAAAAAA=="])
def test_content_that_is_not_what_was_claimed_is_not_stored(server, bucket, claim):
    headers = {"X-Goog-Hash": claim}
    path = f"{server.address}/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=object"
    answer = requests.post(path, data=CONTENT, headers=headers, timeout=60)
    assert (answer.status_code, "doesn't match" in answer.text) == (400, True)
    address = begin(server, bucket)
    assert put(address, CONTENT, **headers).status_code == 400
    assert not bucket.blob("object").exists()


def test_checksums_claimed_in_metadata_are_verified(server, bucket):
    path = f"{server.address}/upload/storage/v1/b/{bucket.name}/o?uploadType=multipart"
    kind = {"Content-Type": "multipart/related; boundary=edge"}
    body = '--edge\r\nContent-Type: application/json\r\n\r\n{"name":"object","crc32c":"%s"}\r\n'
    rest = "--edge\r\nContent-Type: text/x\r\n\r\ncontent\r\n--edge--\r\n"
    wrong = requests.post(path, data=body % "AAAAAA==" + rest, headers=kind, timeout=60)
    assert (wrong.status_code, bucket.blob("object").exists()) == (400, False)
    right = requests.post(path, data=body % crc32c(b"content") + rest, headers=kind, timeout=60)
    assert (right.status_code, right.json()["contentType"]) == (200, "text/x")


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
def test_multipart_content_may_hold_what_looks_like_a_boundary(server, bucket, size):
    content = (b"\r\n--edg\r\n--edge_"[:14] * (size // 14 + 1))[:size]
    body = b'--edgy\r\n\r\n{"name":"object"}\r\n--edgy\r\n\r\n' + content + b"\r\n--edgy--"
    path = f"{server.address}/upload/storage/v1/b/{bucket.name}/o?uploadType=multipart"
    kind = {"Content-Type": 'multipart/related; boundary="edgy"'}
    assert requests.post(path, data=body, headers=kind, timeout=60).status_code == 200
    assert bucket.blob("object").download_as_bytes() == content


@pytest.mark.parametrize("quote", ["", "'"])
def test_a_multipart_body_may_have_the_line_ends_and_quotes_of_apitools(server, bucket, quote):
    path = f"{server.address}/upload/storage/v1/b/{bucket.name}/o?uploadType=multipart"
    kind = {"Content-Type": f"multipart/related; boundary={quote}==edge=={quote}"}
    first = b'--==edge==\nContent-Type: application/json\n\n{"name":"object"}\n'
    body = first + b"--==edge==\n\nline\r\n\n--==edge==--"
    assert requests.post(path, data=body, headers=kind, timeout=10).status_code == 200
    assert bucket.blob("object").download_as_bytes() == b"line\r\n"


def test_a_multipart_body_that_breaks_off_is_refused(server, bucket):
    path = f"{server.address}/upload/storage/v1/b/{bucket.name}/o?uploadType=multipart"
    kind = {"Content-Type": "multipart/related; boundary=edge"}
    body = b'--edge\r\n\r\n{"name":"object"}\r\n--edge\r\n\r\ncont'
    assert requests.post(path, data=body, headers=kind, timeout=60).status_code == 400
    assert not bucket.blob("object").exists()


def test_a_chunked_body_of_any_pieces_is_one_content(server, bucket):
    path = f"{server.address}/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=object"
    pieces = (CONTENT[start : start + 99_999] for start in range(0, len(CONTENT), 99_999))
    assert requests.post(path, data=pieces, timeout=60).json()["crc32c"] == crc32c(CONTENT)


def test_a_client_that_expects_to_be_invited_is(server, bucket):
    connection = socket.create_connection(("127.0.0.1", server.port))
    with connection, connection.makefile("rb") as reader:
        path = f"/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=object"
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head.encode())
        assert reader.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert reader.readline() == b"\r\n"
        connection.sendall(b"content")
        assert reader.readline() == b"HTTP/1.1 200 OK\r\n"


def test_an_early_refusal_leaves_the_connection_usable(server, bucket):
    bucket.blob("object").upload_from_string(b"x")
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    path = f"/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=object&ifGenerationMatch=0"
    connection.request("POST", path, os.urandom(8 * 1024 * 1024))
    answer = connection.getresponse()
    assert (answer.status, bool(answer.read())) == (412, True)
    own_socket = connection.sock
    connection.request("GET", f"/storage/v1/b/{bucket.name}")
    assert connection.getresponse().status == 200
    assert connection.sock is own_socket
    connection.close()
