"""What tests are given: clients of a running API, source objects in either cloud, files and bundles.

    def test_a_file_can_be_read(api, clouds, replica):
        file = put_file(api, clouds.stage(replica, b"content"))
        assert api.head(f"/v1/files/{file.uuid}", replica=replica).status_code == 200

`api` and `clouds` are fixtures of tests/conftest.py; everything else is imported from here. All names are
random, so tests share one running system and never see each other's data.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from shared.checksums import checksums_of
from shared.clock import SystemClock, new_version

REPLICAS = ("gcp", "aws")
SCHEMES = {"gcp": "gs", "aws": "s3"}
PROBLEM = "application/problem+json"
# Seconds: no answer of the API takes longer, or clients have given up.
TIMEOUT = 40


def new_uuid() -> str:
    """Return a UUID that nothing has yet."""
    return str(uuid.uuid4())


def now() -> str:
    """Return a version stamped now, later than all stamped before."""
    return new_version(SystemClock())


class Api:
    """A client of one API, as one person: `api.put(path, json=body, replica="gcp", version=v)`.

    Paths are complete (`/v1/files/…`). Keywords other than `json`, `data` and `headers` are query parameters;
    None leaves one out. Redirects are not followed, nothing is tried again, no status raises.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        self.token = token
        self._session = requests.Session()
        # A proxy or a .netrc of the machine is none of the tests' business.
        self._session.trust_env = False

    def signed_in(self, token: str | None) -> "Api":
        """Return a client of the same API as somebody else; None is nobody."""
        return Api(self.url, token)

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> requests.Response:
        """Return the answer to one request; `path` may be an absolute URL."""
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return self._session.request(
            method,
            path if "://" in path else self.url + path,
            params=query,
            json=json,
            data=data,
            headers={**sent, **(headers or {})},
            allow_redirects=False,
            timeout=TIMEOUT,
        )

    def head(self, path: str, **more: Any) -> requests.Response:
        """Return the answer to a HEAD."""
        return self.request("HEAD", path, **more)

    def get(self, path: str, **more: Any) -> requests.Response:
        """Return the answer to a GET."""
        return self.request("GET", path, **more)

    def put(self, path: str, **more: Any) -> requests.Response:
        """Return the answer to a PUT."""
        return self.request("PUT", path, **more)

    def post(self, path: str, **more: Any) -> requests.Response:
        """Return the answer to a POST."""
        return self.request("POST", path, **more)

    def patch(self, path: str, **more: Any) -> requests.Response:
        """Return the answer to a PATCH."""
        return self.request("PATCH", path, **more)

    def delete(self, path: str, **more: Any) -> requests.Response:
        """Return the answer to a DELETE."""
        return self.request("DELETE", path, **more)

    def pages(self, path: str, **query: Any) -> Iterator[requests.Response]:
        """Yield the answer to a GET, and those to its `Link`s until there is none."""
        answer = self.get(path, **query)
        yield answer
        while answer.status_code == 206:
            answer = self.get(answer.links["next"]["url"])
            yield answer


def checksum_metadata(data: bytes, prefix: str = "dss-") -> dict[str, str]:
    """Return the four checksums of content, as uploaders write them into an object's metadata."""
    checksums = checksums_of(data)
    return {f"{prefix}{name}": getattr(checksums, name) for name in ("sha256", "sha1", "s3_etag", "crc32c")}


class Clouds:
    """Both clouds of a running system, as an operator sees them; `env` is what the fixture `stack` yields."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.gcs = storage.Client(
            project=env["GOOGLE_CLOUD_PROJECT"],
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
            client_options={"api_endpoint": env["STORAGE_EMULATOR_HOST"]},
        )
        self.s3 = boto3.client(
            "s3",
            endpoint_url=env["AWS_ENDPOINT_URL"],
            aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
            region_name=env["AWS_DEFAULT_REGION"],
        )
        self.main = {"gcp": env["DSS_GS_BUCKET"], "aws": env["DSS_S3_BUCKET"]}
        self.checkout = {"gcp": env["DSS_GS_CHECKOUT_BUCKET"], "aws": env["DSS_S3_CHECKOUT_BUCKET"]}
        self.staging = {"gcp": env["DSS_GS_STAGING_BUCKET"], "aws": env["DSS_S3_STAGING_BUCKET"]}

    def stage(
        self,
        replica: str,
        data: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        content_type: str = "application/octet-stream",
        content_encoding: str | None = None,
        bucket: str | None = None,
        key: str | None = None,
    ) -> str:
        """Put a source object into a cloud, in the staging bucket unless told otherwise; return its URL.

        Its metadata are the right checksums, unless given (`{}` for none). `tags` are S3's alone.
        """
        bucket, key = bucket or self.staging[replica], key or f"{new_uuid()}/content"
        metadata = checksum_metadata(data) if metadata is None else metadata
        if replica == "gcp":
            blob = self.gcs.bucket(bucket).blob(key)
            blob.metadata = dict(metadata)
            blob.content_encoding = content_encoding
            blob.upload_from_string(data, content_type=content_type)
        else:
            encoding = {"ContentEncoding": content_encoding} if content_encoding else {}
            self.s3.put_object(
                Bucket=bucket, Key=key, Body=data, Metadata=metadata, ContentType=content_type, **encoding
            )
            if tags:
                tag_set = [{"Key": name, "Value": value} for name, value in tags.items()]
                self.s3.put_object_tagging(Bucket=bucket, Key=key, Tagging={"TagSet": tag_set})
        return f"{SCHEMES[replica]}://{bucket}/{key}"

    def keys(self, replica: str, prefix: str) -> list[str]:
        """Return the keys in a replica's main bucket that begin with `prefix`."""
        if replica == "gcp":
            return [blob.name for blob in self.gcs.list_blobs(self.main[replica], prefix=prefix)]
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.main[replica], Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def read(self, replica: str, key: str) -> bytes:
        """Return the content of an object in a replica's main bucket."""
        if replica == "gcp":
            content: bytes = self.gcs.bucket(self.main[replica]).blob(key).download_as_bytes()
            return content
        return self.s3.get_object(Bucket=self.main[replica], Key=key)["Body"].read()


@dataclass(frozen=True)
class Version:
    """The UUID and version of a file or bundle."""

    uuid: str
    version: str

    def __str__(self) -> str:
        return f"{self.uuid}.{self.version}"

    def named(self, name: str, *, indexed: bool = False) -> dict[str, Any]:
        """Return this file as an item of a bundle."""
        return {"uuid": self.uuid, "version": self.version, "name": name, "indexed": indexed}

    def linked(self, kind: str = "file", **more: str) -> dict[str, Any]:
        """Return this file, bundle or collection as an item of a collection; a fragment has a `path`."""
        return {"type": kind, "uuid": self.uuid, "version": self.version, **more}


def put_file(
    api: Api, source_url: str, *, file: Version | None = None, creator_uid: int = 1, status: int = 201
) -> Version:
    """Make a file version (a new one, unless given) of a source object; fail unless answered `status`."""
    file = file or Version(new_uuid(), now())
    body = {"source_url": source_url, "creator_uid": creator_uid}
    answer = api.put(f"/v1/files/{file.uuid}", version=file.version, json=body)
    assert answer.status_code == status, answer.text
    return file


def put_bundle(
    api: Api,
    replica: str,
    files: Iterable[Mapping[str, Any]],
    *,
    bundle: Version | None = None,
    creator_uid: int = 1,
    status: int = 201,
) -> Version:
    """Make a bundle version (a new one, unless given) of items of `Version.named`; fail unless `status`."""
    bundle = bundle or Version(new_uuid(), now())
    body = {"files": list(files), "creator_uid": creator_uid}
    answer = api.put(f"/v1/bundles/{bundle.uuid}", replica=replica, version=bundle.version, json=body)
    assert answer.status_code == status, answer.text
    return bundle


def put_collection(
    api: Api,
    replica: str,
    contents: Iterable[Mapping[str, Any]],
    *,
    collection: Version | None = None,
    status: int = 201,
    **about: Any,
) -> Version:
    """Make a collection (a new one, unless given) of items of `Version.linked`; fail unless `status`."""
    collection = collection or Version(new_uuid(), now())
    body = {"name": "name", "description": "about", "details": {}, "contents": list(contents), **about}
    query = {"replica": replica, "uuid": collection.uuid, "version": collection.version}
    answer = api.put("/v1/collections", json=body, **query)
    assert answer.status_code == status, answer.text
    return collection


def assert_problem(answer: requests.Response, status: int, code: str, *words: str) -> dict[str, Any]:
    """Fail unless the answer is the error `status` and `code`, in the one shape, and says these words."""
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, PROBLEM), answer.text
    problem: dict[str, Any] = answer.json()
    assert (problem["status"], problem["code"]) == (status, code), problem
    assert isinstance(problem["title"], str)
    # A request id goes with what nobody foresaw, the state of a replica with what it has not.
    more = {500: {"request_id"}, 404: {"replica_state"}}.get(status, set())
    assert set(problem) - {"status", "code", "title"} <= more, problem
    for word in words:
        assert word in problem["title"], f"{word!r} is not in {problem['title']!r}"
    return problem
