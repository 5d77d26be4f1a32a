"""Objects of S3 that their bucket's life cycle removes, and those that it passes over.

S3 counts from when an object was written, and has rules for tags but none for the lack of one. So a temporary
object has a tag, and a mark in its metadata too, which HEAD returns without another request.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

# The life cycle rules of terraform/aws/storage.tf and local/ are for this tag.
TAG = ("dss-checkout", "temporary")


def marks(last_used: datetime | None) -> dict[str, Any]:
    """Return the parameters of a request that writes an object, temporary or not."""
    name, value = TAG
    return {"Tagging": f"{name}={value}", "Metadata": {name: value}} if last_used else {}


def last_used(head: Mapping[str, Any]) -> datetime | None:
    """Return when the life cycle believes an object was last used; None if it passes the object over."""
    name, value = TAG
    written: datetime = head["LastModified"]
    return written if head["Metadata"].get(name) == value else None
