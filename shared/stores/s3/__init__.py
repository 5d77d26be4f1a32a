"""Amazon S3. Its module `session` imports Google's SDK, and is not imported here."""

from shared.stores.s3.client import open_client
from shared.stores.s3.store import S3

__all__ = ["S3", "open_client"]
