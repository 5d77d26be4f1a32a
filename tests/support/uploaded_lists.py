"""Lists, as operators put them into a bucket."""

from collections.abc import Sequence

from tests.support.administered import Administered
from tests.support.given import new_uuid


def put_list(system: Administered, lines: Sequence[str] | bytes, *, key: str = "") -> str:
    """Put a list into the reports bucket, and return its URL."""
    data = lines if isinstance(lines, bytes) else "".join(f"{line}\n" for line in lines).encode()
    bucket = system.env["DSS_REPORTS_BUCKET"]
    return system.clouds.stage("gcp", data, bucket=bucket, key=key or f"lists/{new_uuid()}", metadata={})
