"""Access methods follow the replicas that have a file."""

from types import SimpleNamespace
from typing import Any

import pytest

from run.drs.access_methods import methods_of
from shared.catalog import FileRecord
from shared.checksums import checksums_of
from shared.identifiers import Fqid
from shared.replicas import Replica, Replicas
from shared.stores.base import ObjectStore

SUMS = checksums_of(b"content")


def store(scheme: str) -> ObjectStore:
    """Return a store of which only the scheme is asked for."""
    found: Any = SimpleNamespace(scheme=scheme)
    return found


def replica(name: str, scheme: str, region: str = "") -> Replica:
    return Replica(
        name=name,
        open_store=lambda: store(scheme),
        bucket=f"{name}-main",
        checkout_bucket=f"{name}-out",
        region=region,
    )


REPLICAS = Replicas(
    replica("gcp", "gs", "us-east1"), replica("aws", "s3"), replica("minio", "s3"), replica("disk", "file")
)


def record(*available: str) -> FileRecord:
    """Return a file on some replicas."""
    return FileRecord(
        fqid=Fqid("5f6a0bd3-6a64-4f3e-9c0e-0c4f6f0a9b11", "2026-01-12T093000.000000Z"),
        creator_uid=1,
        content_type="text/plain",
        size=7,
        checksums=SUMS,
        available=frozenset(available),
    )


@pytest.mark.parametrize(
    ("available", "first", "access_ids"),
    [
        (("gcp",), None, ["gs.gcp", "https.gcp"]),
        (("aws",), None, ["s3.aws", "https.aws"]),
        (("gcp", "aws"), None, ["gs.gcp", "s3.aws", "https.gcp"]),
        (("gcp", "aws"), "aws", ["s3.aws", "gs.gcp", "https.aws"]),
        (("gcp",), "aws", ["gs.gcp", "https.gcp"]),
        # Never two of one type; a store without a scheme of DRS has signed URLs alone.
        (("gcp", "aws", "minio", "disk"), None, ["gs.gcp", "s3.aws", "https.gcp"]),
        (("minio",), None, ["s3.minio", "https.minio"]),
        (("disk",), None, ["https.disk"]),
        (("gcp", "gone"), None, ["gs.gcp", "https.gcp"]),
    ],
)
def test_there_is_one_method_of_each_type_and_the_preferred_replica_is_first(
    available: tuple[str, ...], first: str | None, access_ids: list[str]
) -> None:
    methods = methods_of(REPLICAS, record(*available), first=first)

    assert [method["access_id"] for method in methods] == access_ids
    assert [method["type"] for method in methods] == [one.partition(".")[0] for one in access_ids]


def test_a_method_of_a_store_names_the_blob_and_its_region_if_that_is_known() -> None:
    gs, s3, https = methods_of(REPLICAS, record("gcp", "aws"))

    assert gs["access_url"] == {"url": f"gs://gcp-main/{SUMS.blob_key}"}
    assert s3["access_url"] == {"url": f"s3://aws-main/{SUMS.blob_key}"}
    assert (gs["region"], "region" in s3, "access_url" in https) == ("us-east1", False, False)
