"""Create, get, list and delete buckets."""

import json
import re
import sqlite3
from collections.abc import Iterator

from gcs_server.database import Database
from gcs_server.errors import BadRequest, BucketNotFound, Conflict, Forbidden
from gcs_server.resources import Bucket, Json, new_bucket_attributes

# https://cloud.google.com/storage/docs/buckets#naming
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_LONGEST_WITHOUT_DOTS = 63
_PERMISSIONS = {
    "read": ("storage.objects.get", "storage.objects.list"),
    "write": ("storage.objects.create", "storage.objects.delete", "storage.objects.update"),
}


def find_bucket(connection: sqlite3.Connection, name: str) -> Bucket:
    """Return the bucket. Raises BucketNotFound."""
    row = connection.execute("SELECT project, attributes FROM buckets WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise BucketNotFound
    return Bucket(name, row[0], json.loads(row[1]))


def open_bucket(connection: sqlite3.Connection, name: str, action: str) -> Bucket:
    """Return the bucket, to `read` or `write` its objects. Raises BucketNotFound, Forbidden."""
    bucket = find_bucket(connection, name)
    if bucket.denies in (action, "all"):
        permission = _PERMISSIONS[action][0]
        raise Forbidden(
            f"Caller does not have {permission} access to the Google Cloud Storage object. Permission "
            f"'{permission}' denied on resource (or it may not exist)."
        )
    return bucket


class Buckets:
    """The buckets of every project; their names are unique across projects."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, resource: Json, project: str) -> Bucket:
        """Create a bucket. Raises Conflict if the name is taken, BadRequest if it is invalid."""
        name = resource.get("name")
        if not isinstance(name, str) or not _is_name(name):
            raise BadRequest(f"Invalid bucket name: '{name}'")
        bucket = Bucket(name, project, new_bucket_attributes(resource))
        with self._database.write() as connection:
            taken = connection.execute("SELECT 1 FROM buckets WHERE name = ?", (name,)).fetchone()
            if taken:
                raise Conflict(
                    "Your previous request to create the named bucket succeeded and you already own it."
                )
            row = (name, project, json.dumps(bucket.attributes))
            connection.execute("INSERT INTO buckets VALUES (?, ?, ?)", row)
        return bucket

    def get(self, name: str) -> Bucket:
        """Return the bucket. Raises BucketNotFound."""
        with self._database.read() as connection:
            return find_bucket(connection, name)

    def of_project(self, project: str, prefix: str, after: str) -> Iterator[Bucket]:
        """Yield a project's buckets with names that begin with `prefix` and follow `after`, in order."""
        query = "SELECT name, attributes FROM buckets WHERE project = ? AND name > ? ORDER BY name"
        with self._database.read() as connection:
            rows = connection.execute(query, (project, after)).fetchall()
        for name, attributes in rows:
            if name.startswith(prefix):
                yield Bucket(name, project, json.loads(attributes))

    def delete(self, name: str) -> None:
        """Delete an empty bucket. Raises BucketNotFound, or Conflict if it has objects."""
        with self._database.write() as connection:
            find_bucket(connection, name)
            if connection.execute("SELECT 1 FROM objects WHERE bucket = ? LIMIT 1", (name,)).fetchone():
                raise Conflict("The bucket you tried to delete is not empty.")
            connection.execute("DELETE FROM notifications WHERE bucket = ?", (name,))
            connection.execute("DELETE FROM buckets WHERE name = ?", (name,))

    def granted(self, name: str, permissions: list[str]) -> list[str]:
        """Return the given permissions without those that the bucket denies. Raises BucketNotFound."""
        denies = self.get(name).denies
        denied = {
            permission
            for action, names in _PERMISSIONS.items()
            if denies in (action, "all")
            for permission in names
        }
        return [permission for permission in permissions if permission not in denied]


def _is_name(name: str) -> bool:
    if not _NAME.fullmatch(name):
        return False
    return all(len(part) <= _LONGEST_WITHOUT_DOTS for part in name.split("."))
