"""Both clouds of a running system, for tests that stage source objects or read stored ones."""

import uuid
from collections.abc import Mapping
from functools import cache
from typing import Any

import boto3
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

from shared.checksums import checksums_of

REPLICAS = ("gcp", "aws")
SCHEMES = {"gcp": "gs", "aws": "s3"}


def checksum_metadata(data: bytes, prefix: str = "dss-") -> dict[str, str]:
    """Return the four checksums of content, as uploaders write them into an object's metadata."""
    checksums = checksums_of(data)
    return {f"{prefix}{name}": getattr(checksums, name) for name in ("sha256", "sha1", "s3_etag", "crc32c")}


# In the order of the parameters of `_s3_client`.
_S3_SETTINGS = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION")


@cache
def _s3_client(url: str, key_id: str, secret: str, region: str) -> Any:
    """Return the client of a server: making one takes a tenth of a second."""
    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        region_name=region,
    )


class Clouds:
    """Clients of both clouds; `env` is the value of the fixture `stack`."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.gcs = storage.Client(
            project=env["GOOGLE_CLOUD_PROJECT"],
            credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
            client_options={"api_endpoint": env["STORAGE_EMULATOR_HOST"]},
        )
        self.s3 = _s3_client(*(env[name] for name in _S3_SETTINGS))
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
        """Put a source object into a cloud, by default into its staging bucket; return its URL.

        Its metadata are the right checksums by default, `{}` for none. Only S3 has `tags`.
        """
        bucket, key = bucket or self.staging[replica], key or f"{uuid.uuid4()}/content"
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
