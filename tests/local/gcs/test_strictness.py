import socket

import pytest
import requests


@pytest.mark.parametrize(
    ("method", "path", "named"),
    [
        ("GET", "/storage/v1/b/{b}/o?matchGlob=x", "matchGlob"),
        ("GET", "/storage/v1/b/{b}/o?softDeleted=true", "softDeleted"),
        ("GET", "/storage/v1/b/{b}?userProject=x", "userProject"),
        ("GET", "/storage/v1/b/{b}/o/x?ifgenerationmatch=1", "ifgenerationmatch"),
        ("GET", "/storage/v1/b/{b}/o/x?alt=proto", "alt=proto"),
        ("GET", "/storage/v1/b/{b}/o/x?projection=all", "projection=all"),
        ("POST", "/upload/storage/v1/b/{b}/o?uploadType=media&name=x&predefinedAcl=private", "predefinedAcl"),
        ("POST", "/storage/v1/b/{b}/o/x/moveTo/o/y", "moveTo"),
        ("POST", "/storage/v1/b/{b}/o/x/restore", "restore"),
        ("PATCH", "/storage/v1/b/{b}", "PATCH"),
        ("GET", "/storage/v1/b/{b}/iam", "/iam"),
        ("GET", "/storage/v1/b/{b}/o/x/acl", "/acl"),
        ("GET", "/storage/v2/b", "/storage/v2/b"),
        ("POST", "/batch/storage/v1", "POST"),
        ("DELETE", "/{b}/x", "DELETE"),
        ("GET", "/{b}/x?acl", "acl"),
        ("GET", "/{b}?prefix=x", "GET /"),
    ],
)
def test_what_is_not_known_is_refused_by_name(server, bucket, method, path, named):
    answer = requests.request(method, server.address + path.format(b=bucket.name), timeout=60)
    assert answer.status_code == 501
    assert named in answer.text


@pytest.mark.parametrize(
    "header",
    [
        "x-goog-user-project",
        "x-goog-encryption-key",
        "x-goog-acl",
        "If-Match",
        "X-HTTP-Method-Override",
    ],
)
def test_a_header_that_is_not_known_is_refused_by_name(server, bucket, header):
    answer = requests.get(f"{server.address}/storage/v1/b/{bucket.name}/o", headers={header: "x"}, timeout=60)
    assert (answer.status_code, header.lower() in answer.text) == (501, True)


@pytest.mark.parametrize("name", ["acl", "temporaryHold", "retention", "kmsKeyName", "contexts", "color"])
def test_a_property_that_is_not_known_is_refused_by_name(bucket, name):
    blob = bucket.blob("x")
    blob.upload_from_string(b"x")
    answer = requests.patch(blob.self_link, json={name: True}, timeout=60)
    assert (answer.status_code, name in answer.json()["error"]["message"]) == (501, True)


def test_cosmetic_parameters_change_nothing(server, bucket):
    path = f"{server.address}/storage/v1/b/{bucket.name}"
    plain = requests.get(path, timeout=60).json()
    assert requests.get(f"{path}?prettyPrint=false&alt=json&projection=full", timeout=60).json() == plain


def test_a_parameter_given_twice_is_refused(server, bucket):
    path = f"{server.address}/storage/v1/b/{bucket.name}/o?prefix=a&prefix=b"
    assert requests.get(path, timeout=60).status_code == 400


def test_an_encoding_of_the_body_is_refused(server, bucket):
    path = f"{server.address}/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name=x"
    answer = requests.post(path, data=b"x", headers={"Content-Encoding": "gzip"}, timeout=60)
    assert answer.status_code == 501


def test_any_bearer_is_accepted_on_the_json_api(server, bucket):
    answer = requests.get(
        f"{server.address}/storage/v1/b/{bucket.name}", headers={"Authorization": "Bearer x"}, timeout=10
    )
    assert answer.status_code == 200


def test_what_is_not_http_ends_the_connection_and_nothing_else(server):
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"HELLO\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")
    assert requests.get(f"{server.address}/storage/v1/b", timeout=60).status_code == 200
