"""What is erased leaves no earlier version, if somebody has switched versioning on."""

from shared.stores.s3.store import S3
from tests.support.api import new_uuid
from tests.support.clouds import Clouds


def test_s3_erases_all_versions_of_an_object_and_no_others(clouds: Clouds) -> None:
    bucket = f"dss-versioned-{new_uuid()}"
    clouds.s3.create_bucket(Bucket=bucket)
    clouds.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for content in (b"one", b"two"):
        for key in ("withdrawn", "withdrawn.not"):
            clouds.s3.put_object(Bucket=bucket, Key=key, Body=content)
    clouds.s3.delete_object(Bucket=bucket, Key="withdrawn")

    S3(clouds.s3).erase(bucket, "withdrawn")

    left = clouds.s3.list_object_versions(Bucket=bucket)
    assert [row["Key"] for row in left["Versions"]] == ["withdrawn.not"] * 2
    assert "DeleteMarkers" not in left
