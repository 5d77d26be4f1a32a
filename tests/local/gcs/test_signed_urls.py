import http.client
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest import mock
from urllib.parse import urlsplit

import pytest
import requests
from google.cloud.storage import _signing

from shared.stores.gcs.signing import HmacSigner, signed_url

CONTENT = b"content of the object"
NAME = "a folder/file é+&.txt"


@pytest.fixture
def blob(bucket):
    blob = bucket.blob(NAME)
    blob.metadata = {"one": "1"}
    blob.upload_from_string(CONTENT, content_type="text/x")
    return blob


def signed(server, signer, blob, **options):
    options = {"expiration": timedelta(hours=1), **options}
    return blob.generate_signed_url(
        version="v4", api_access_endpoint=server.address, credentials=signer.credentials, **options
    )


def error_code(answer):
    return answer.status_code, answer.text.partition("<Code>")[2].partition("</Code>")[0]


def test_a_signed_url_gives_the_object(server, signer, blob):
    answer = requests.get(signed(server, signer, blob), timeout=60)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["Content-Type"] == "text/x"
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["x-goog-hash"] == f"crc32c={blob.crc32c}, md5={blob.md5_hash}"
    assert answer.headers["x-goog-generation"] == str(blob.generation)
    assert answer.headers["x-goog-meta-one"] == "1"
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["ETag"].strip('"')
    assert answer.headers["Last-Modified"].endswith("GMT")
    assert "Content-Encoding" not in answer.headers
    assert "Content-Disposition" not in answer.headers


def test_a_signed_url_decides_how_the_object_is_presented(server, signer, blob):
    disposition = "attachment; filename=\"fi le+1.txt\"; filename*=UTF-8''fil%C3%A9"
    url = signed(server, signer, blob, response_disposition=disposition, response_type="text/html")
    answer = requests.get(url, timeout=60)
    assert answer.headers["Content-Disposition"] == disposition
    assert answer.headers["Content-Type"] == "text/html"


def test_another_disposition_than_the_signed_one_is_refused(server, signer, blob):
    url = signed(server, signer, blob, response_disposition="attachment; filename=good")
    answer = requests.get(url.replace("good", "evil"), timeout=60)
    assert error_code(answer) == (403, "SignatureDoesNotMatch")
    added = signed(server, signer, blob) + "&response-content-type=text/html"
    assert error_code(requests.get(added, timeout=60)) == (403, "SignatureDoesNotMatch")


def test_any_known_key_may_sign_and_no_other(server, second_signer, blob, tmp_path):
    assert requests.get(signed(server, second_signer, blob), timeout=60).content == CONTENT
    stranger = type(second_signer)(tmp_path)
    answer = requests.get(signed(server, stranger, blob), timeout=60)
    assert error_code(answer) == (403, "SignatureDoesNotMatch")


@pytest.mark.parametrize("change", ["path", "expiry", "signature", "method", "host"])
def test_nothing_that_was_signed_can_be_changed(server, signer, bucket, blob, change):
    bucket.blob("other").upload_from_string(b"secret")
    url = signed(server, signer, blob)
    method, headers = "GET", {}
    if change == "path":
        url = url.replace(urlsplit(url).path, f"/{bucket.name}/other")
    elif change == "expiry":
        url = url.replace("X-Goog-Expires=3600", "X-Goog-Expires=3601")
    elif change == "signature":
        url = url[:-1] + ("0" if url[-1] != "0" else "1")
    elif change == "method":
        method = "PUT"
    else:
        headers = {"Host": "elsewhere:1"}
    answer = requests.request(method, url, headers=headers, timeout=60)
    assert error_code(answer) == (403, "SignatureDoesNotMatch")


def signed_at(server, signer, blob, moment, seconds):
    with mock.patch.object(_signing, "_NOW", lambda _zone: moment):
        return signed(server, signer, blob, expiration=timedelta(seconds=seconds))


def test_a_signed_url_ends_when_it_says(server, signer, blob):
    now = datetime.now(UTC)
    over = signed_at(server, signer, blob, now - timedelta(seconds=100), 99)
    assert error_code(requests.get(over, timeout=60)) == (400, "ExpiredToken")
    running = signed_at(server, signer, blob, now - timedelta(seconds=100), 160)
    assert requests.get(running, timeout=60).status_code == 200
    early = signed_at(server, signer, blob, now + timedelta(hours=1), 160)
    assert requests.get(early, timeout=60).status_code == 403


def test_a_signed_url_lives_seven_days_at_most(server, signer, blob):
    longest = signed(server, signer, blob, expiration=timedelta(days=7))
    assert requests.get(longest, timeout=60).status_code == 200
    with mock.patch.object(_signing, "SEVEN_DAYS", 10**7):
        longer = signed(server, signer, blob, expiration=timedelta(days=7, seconds=1))
    assert requests.get(longer, timeout=60).status_code == 400


def test_an_unsigned_request_is_refused(server, blob):
    answer = requests.get(f"{server.address}/{blob.bucket.name}/x", timeout=60)
    assert error_code(answer) == (403, "AccessDenied")


def test_a_missing_object_is_not_found_by_who_may_look(server, signer, bucket):
    answer = requests.get(signed(server, signer, bucket.blob("missing")), timeout=60)
    assert error_code(answer) == (404, "NoSuchKey")


def test_ranges_of_a_signed_url_are_served(server, signer, blob):
    url = signed(server, signer, blob)
    part = requests.get(url, headers={"Range": "bytes=3-9"}, timeout=60)
    assert (part.status_code, part.content) == (206, CONTENT[3:10])
    assert part.headers["Content-Range"] == f"bytes 3-9/{len(CONTENT)}"
    tail = requests.get(url, headers={"Range": "bytes=-4"}, timeout=60)
    assert tail.content == CONTENT[-4:]
    beyond = requests.get(url, headers={"Range": "bytes=100-"}, timeout=60)
    assert error_code(beyond) == (416, "InvalidRange")


def test_a_head_says_what_a_get_would(server, signer, blob):
    answer = requests.head(signed(server, signer, blob, method="HEAD"), timeout=60)
    assert (answer.status_code, answer.headers["Content-Length"]) == (200, str(len(CONTENT)))
    assert answer.headers["x-goog-hash"].startswith("crc32c=")


def test_a_signed_put_creates_an_object(server, signer, bucket):
    headers = {"x-goog-meta-dss-sha1": "abc", "x-goog-if-generation-match": "0", "Content-Type": "text/x"}
    url = signed(server, signer, bucket.blob(NAME), method="PUT", headers=dict(headers))
    answer = requests.put(url, data=CONTENT, headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    found = bucket.get_blob(NAME)
    assert (found.metadata, found.content_type) == ({"dss-sha1": "abc"}, "text/x")
    assert answer.headers["x-goog-generation"] == str(found.generation)
    again = requests.put(url, data=b"other", headers=headers, timeout=60)
    assert error_code(again) == (412, "PreconditionFailed")
    assert found.download_as_bytes() == CONTENT


def test_a_signed_put_verifies_what_is_claimed(server, signer, bucket):
    url = signed(server, signer, bucket.blob("object"), method="PUT")
    headers = {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}
    assert requests.put(url, data=CONTENT, headers=headers, timeout=60).status_code == 400
    assert not bucket.blob("object").exists()


def test_signed_headers_must_be_sent_and_sent_headers_be_signed(server, signer, bucket):
    url = signed(server, signer, bucket.blob("x"), method="PUT", headers={"x-goog-meta-one": "1"})
    assert requests.put(url, data=b"x", timeout=60).status_code == 400
    more = {"x-goog-meta-one": "1", "x-goog-meta-two": "2"}
    assert requests.put(url, data=b"x", headers=more, timeout=60).status_code == 400
    other = {"x-goog-meta-one": "2"}
    assert requests.put(url, data=b"x", headers=other, timeout=60).status_code == 403
    assert not bucket.blob("x").exists()


def test_the_host_that_was_signed_is_the_host_of_the_request(server, signer, blob):
    url = urlsplit(signed(server, signer, blob))
    assert "X-Goog-SignedHeaders=host&" in url.query
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", f"{url.path}?{url.query}", headers={"Host": url.netloc})
    assert connection.getresponse().read() == CONTENT
    connection.close()


def test_a_bucket_that_denies_reads_denies_them_to_signed_urls(server, signer, client):
    closed = client.bucket("denies-signed-reads")
    closed.labels = {"dss-local-deny": "read"}
    closed.create()
    closed.blob("x").upload_from_string(b"x")
    answer = requests.get(signed(server, signer, closed.blob("x")), timeout=60)
    assert error_code(answer) == (403, "AccessDenied")


def test_a_url_signed_by_an_hmac_key_gives_the_object(server, hmac_key, blob):
    answer = requests.get(
        signed_by_hmac(server, HmacSigner.parse(json.loads(hmac_key.read_text())), blob), timeout=60
    )

    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''%C3%A9"


@pytest.mark.parametrize("fault", ["secret", "key", "parameter", "algorithm"])
def test_a_url_that_no_hmac_key_signed_is_refused(server, hmac_key, blob, fault):
    key = HmacSigner.parse(json.loads(hmac_key.read_text()))
    if fault == "secret":
        key = replace(key, secret=key.secret[::-1])
    if fault == "key":
        key = replace(key, name="GOOG1OTHER")
    url = signed_by_hmac(server, key, blob)
    if fault == "parameter":
        url = url.replace("attachment", "inline")
    if fault == "algorithm":
        url = url.replace("HMAC", "RSA")

    assert error_code(requests.get(url, timeout=60)) == (403, "SignatureDoesNotMatch")


def signed_by_hmac(server, key, blob):
    disposition = {"response-content-disposition": "attachment; filename*=UTF-8''%C3%A9"}
    hour = timedelta(hours=1)
    return signed_url(key, server.address, blob.bucket.name, blob.name, lifetime=hour, parameters=disposition)
