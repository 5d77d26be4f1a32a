"""Create, replace, change and delete objects atomically; each name has one live generation."""

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from gcs_server.buckets import open_bucket
from gcs_server.database import Database
from gcs_server.datafiles import ContentFile, DataFiles
from gcs_server.errors import BadRequest, NotFound
from gcs_server.notifications import DELETED, FINALIZED, UPDATED, Notifications
from gcs_server.preconditions import Preconditions
from gcs_server.resources import COLUMNS, Json, ObjectRecord, content_attributes, timestamp

# https://cloud.google.com/storage/docs/objects#naming: bytes of UTF-8
_NAME_LIMIT = 1024
_NO_CONDITIONS = Preconditions()

InTransaction = Callable[[sqlite3.Connection, ObjectRecord], None]


def check_name(name: str) -> None:
    """Raise BadRequest if the name is invalid for an object."""
    if not name:
        raise BadRequest("Required parameter: name")
    refused = name in (".", "..") or name.startswith(".well-known/acme-challenge/")
    if refused or "\r" in name or "\n" in name or len(name.encode()) > _NAME_LIMIT:
        raise BadRequest(f"Invalid object name: '{name}'")


def find_object(connection: sqlite3.Connection, bucket: str, name: str) -> ObjectRecord | None:
    """Return the live generation, or None."""
    query = f"SELECT {COLUMNS} FROM objects WHERE bucket = ? AND name = ?"
    row = connection.execute(query, (bucket, name)).fetchone()
    return ObjectRecord.from_row(row) if row else None


class Objects:
    """The objects of all buckets.

    Every method raises BucketNotFound, or Forbidden if the bucket denies it.
    """

    def __init__(
        self, database: Database, files: DataFiles, notifications: Notifications, address: str
    ) -> None:
        self._database = database
        self.files = files
        self._notifications = notifications
        self.address = address
        with database.read() as connection:
            newest = connection.execute("SELECT MAX(generation) FROM objects").fetchone()[0]
        self._newest = newest or 0

    def get(
        self,
        bucket: str,
        name: str,
        generation: int | None = None,
        conditions: Preconditions = _NO_CONDITIONS,
    ) -> ObjectRecord:
        """Return the object. Raises NotFound, PreconditionFailed, NotModified."""
        with self._database.read() as connection:
            open_bucket(connection, bucket, "read")
            found = _required(find_object(connection, bucket, name), bucket, name, generation)
        conditions.check_read(found.generation, found.metageneration)
        return found

    def open(
        self,
        bucket: str,
        name: str,
        generation: int | None = None,
        conditions: Preconditions = _NO_CONDITIONS,
    ) -> tuple[ObjectRecord, BinaryIO]:
        """Like `get`, with the content, which stays readable after a delete."""
        while True:
            found = self.get(bucket, name, generation, conditions)
            try:
                return found, self.files.path(found.file).open("rb")
            except FileNotFoundError:
                self._check_not_lost(found)

    def linked(
        self, bucket: str, name: str, generation: int | None, conditions: Preconditions
    ) -> tuple[ObjectRecord, str]:
        """Like `get`, with a hard link to its content file, which the caller owns."""
        while True:
            with self._database.read() as connection:
                open_bucket(connection, bucket, "read")
                found = _required(find_object(connection, bucket, name), bucket, name, generation)
            conditions.check(found.generation, found.metageneration)
            try:
                return found, self.files.link(found.file)
            except FileNotFoundError:
                self._check_not_lost(found)

    def check_target(self, bucket: str, name: str, conditions: Preconditions) -> None:
        """Raise early what `create` would raise, before the client sends content."""
        check_name(name)
        with self._database.read() as connection:
            open_bucket(connection, bucket, "write")
            _check(conditions, find_object(connection, bucket, name))

    def create(
        self,
        bucket: str,
        name: str,
        settings: Json,
        content: ContentFile,
        conditions: Preconditions = _NO_CONDITIONS,
        also: InTransaction | None = None,
    ) -> ObjectRecord:
        """Create a generation with that content, and take over its file.

        `also` runs in the transaction. Raises BadRequest for a bad name, PreconditionFailed; the file is
        removed then.
        """
        try:
            check_name(name)
            with self._database.write() as connection:
                place = open_bucket(connection, bucket, "write")
                before = find_object(connection, bucket, name)
                _check(conditions, before)
                settings = {"storageClass": place.attributes["storageClass"], **settings}
                created = self._new_object(bucket, name, settings, content)
                _save(connection, created)
                self._announce_creation(connection, created, before)
                if also:
                    also(connection, created)
        except BaseException:
            self.files.discard(content.file)
            raise
        if before:
            self.files.discard(before.file)
        self._notifications.wake()
        return created

    def change(
        self,
        bucket: str,
        name: str,
        generation: int | None,
        conditions: Preconditions,
        edit: Callable[[Json], Json],
    ) -> ObjectRecord:
        """Edit the object's attributes. Raises NotFound, PreconditionFailed, and the errors of `edit`."""
        with self._database.write() as connection:
            open_bucket(connection, bucket, "write")
            before = _required(find_object(connection, bucket, name), bucket, name, generation)
            _check(conditions, before)
            changed = before.changed(edit(before.attributes))
            _save(connection, changed)
            self._notifications.record(connection, UPDATED, changed, self.address)
        self._notifications.wake()
        return changed

    def delete(self, bucket: str, name: str, generation: int | None, conditions: Preconditions) -> None:
        """Delete the object. Raises NotFound, PreconditionFailed."""
        with self._database.write() as connection:
            open_bucket(connection, bucket, "write")
            before = _required(find_object(connection, bucket, name), bucket, name, generation)
            _check(conditions, before)
            connection.execute("DELETE FROM objects WHERE bucket = ? AND name = ?", (bucket, name))
            self._notifications.record(connection, DELETED, before, self.address)
        self.files.discard(before.file)
        self._notifications.wake()

    def _new_object(self, bucket: str, name: str, settings: Json, content: ContentFile) -> ObjectRecord:
        self._newest = max(time.time_ns() // 1000, self._newest + 1)
        now = timestamp()
        given = {key: value for key, value in settings.items() if value not in (None, {})}
        times = {"timeCreated": now, "updated": now, "timeStorageClassUpdated": now, "timeFinalized": now}
        attributes = {**given, **content_attributes(content), **times}
        return ObjectRecord(bucket, name, self._newest, 1, content.file, content.size, attributes)

    def _announce_creation(
        self, connection: sqlite3.Connection, created: ObjectRecord, before: ObjectRecord | None
    ) -> None:
        about_new: dict[str, str] = {}
        if before:
            about_new = {"overwroteGeneration": str(before.generation)}
            about_old = {"overwrittenByGeneration": str(created.generation)}
            self._notifications.record(connection, DELETED, before, self.address, about_old)
        self._notifications.record(connection, FINALIZED, created, self.address, about_new)

    def _check_not_lost(self, found: ObjectRecord) -> None:
        """Return if the object changed since its file was looked up; otherwise its content is lost."""
        again = self.get(found.bucket, found.name)
        if again.file == found.file:
            path: Path = self.files.path(found.file)
            raise RuntimeError(f"the content of {found.bucket}/{found.name} is lost: {path}")


def _check(conditions: Preconditions, found: ObjectRecord | None) -> None:
    conditions.check(found.generation if found else 0, found.metageneration if found else 0)


def _required(found: ObjectRecord | None, bucket: str, name: str, generation: int | None) -> ObjectRecord:
    if found is None or generation not in (None, found.generation):
        raise NotFound(f"No such object: {bucket}/{name}")
    return found


def _save(connection: sqlite3.Connection, stored: ObjectRecord) -> None:
    connection.execute(
        f"INSERT OR REPLACE INTO objects ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            stored.bucket,
            stored.name,
            stored.generation,
            stored.metageneration,
            stored.file,
            stored.size,
            json.dumps(stored.attributes),
        ),
    )
