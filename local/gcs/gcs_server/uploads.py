"""Resumable uploads: received bytes survive broken connections and a killed server.

The length of the file is the number of received bytes, so a chunk needs no transaction.
"""

import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gcs_server.database import Database
from gcs_server.datafiles import DataFiles, RunningChecksums
from gcs_server.errors import ApiError, BadRequest, NotFound, UploadCancelled, UploadOffset
from gcs_server.objects import Objects
from gcs_server.preconditions import Preconditions
from gcs_server.resources import Json, ObjectRecord
from gcs_server.wire import BLOCK, Body

# https://cloud.google.com/storage/docs/resumable-uploads: a session is good for a week (seconds)
_LIFETIME = 7 * 24 * 60 * 60


@dataclass(frozen=True)
class UploadRequest:
    """The object to create; `size` is None if it is unknown; `address` is that of its links."""

    bucket: str
    name: str
    settings: Json
    checksums: dict[str, str]
    conditions: Preconditions
    size: int | None
    address: str

    def as_json(self) -> str:
        """Return it for storage."""
        conditions = self.conditions.as_dict()
        fields = (self.bucket, self.name, self.settings, self.checksums, conditions, self.size, self.address)
        return json.dumps(fields)

    @classmethod
    def from_json(cls, text: str) -> "UploadRequest":
        """Restore it from storage."""
        bucket, name, settings, checksums, conditions, size, address = json.loads(text)
        return cls(bucket, name, settings, checksums, Preconditions(**conditions), size, address)


@dataclass(frozen=True)
class Chunk:
    """The place of a request's body: `length` bytes from `start` on, of `total`; None if unknown."""

    start: int
    length: int | None
    total: int | None

    @property
    def is_last(self) -> bool:
        """Whether this is the last chunk."""
        return self.length is None or (self.total is not None and self.start + self.length == self.total)


class UploadSession:
    """A running upload; hold its lock to use it."""

    def __init__(self, identifier: str, request: UploadRequest, file: str) -> None:
        self.identifier = identifier
        self.request = request
        self.file = file
        self.checksums = RunningChecksums()
        self.lock = threading.Lock()
        self.is_open = True


class Uploads:
    """The resumable uploads of all buckets."""

    def __init__(self, database: Database, files: DataFiles, objects: Objects) -> None:
        self._database = database
        self._files = files
        self._objects = objects
        self._sessions: dict[str, UploadSession] = {}
        self._loading = threading.Lock()

    def start(self, request: UploadRequest) -> str:
        """Start an upload, and return its id. Raises what creating the object now would raise."""
        self._objects.check_target(request.bucket, request.name, request.conditions)
        session = UploadSession(secrets.token_urlsafe(32), request, self._files.new())
        self._files.path(session.file).touch()
        row = (session.identifier, request.as_json(), session.file, time.time(), "open", None)
        with self._database.write() as connection:
            connection.execute("INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?)", row)
        self._sessions[session.identifier] = session
        return session.identifier

    def received(self, identifier: str) -> int | Json:
        """Return the number of received bytes, or the object's JSON if the upload is complete.

        Raises NotFound, UploadCancelled.
        """
        with self._use(identifier) as session:
            return session.checksums.size if isinstance(session, UploadSession) else session

    def add(self, identifier: str, chunk: Chunk, body: Body, checksums: dict[str, str]) -> int | Json:
        """Append a chunk, and return the number of received bytes, or the object's JSON after the last chunk.

        Raises NotFound, UploadCancelled; BadRequest for a chunk that doesn't fit; UploadOffset for one
        that begins too late; Disconnected, after keeping all whole blocks that arrived; and the errors
        of creating the object, which end the upload.
        """
        with self._use(identifier) as session:
            if not isinstance(session, UploadSession):
                return session
            _check_chunk(session.request, chunk)
            if chunk.start > session.checksums.size:
                raise UploadOffset(
                    f"Invalid request. According to the Content-Range header, the upload offset is "
                    f"{chunk.start} byte(s), which exceeds already uploaded size of "
                    f"{session.checksums.size} byte(s)."
                )
            self._append(session, chunk, body)
            return self._finish(session, checksums) if chunk.is_last else session.checksums.size

    def finish(self, identifier: str, total: int, checksums: dict[str, str]) -> int | Json:
        """Like `add` with no bytes, by a sender that now knows the `total`."""
        with self._use(identifier) as session:
            if not isinstance(session, UploadSession):
                return session
            _check_chunk(session.request, Chunk(0, 0, total))
            return (
                self._finish(session, checksums)
                if session.checksums.size == total
                else session.checksums.size
            )

    def cancel(self, identifier: str) -> None:
        """Cancel the upload, and remove its bytes. Raises NotFound, UploadCancelled."""
        with self._use(identifier) as session:
            if isinstance(session, UploadSession):
                self._close(session, "cancelled")

    def sweep(self) -> None:
        """Remove expired uploads."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM uploads WHERE started < ?", (time.time() - _LIFETIME,))

    @contextmanager
    def _use(self, identifier: str) -> Iterator[UploadSession | Json]:
        session = self._session(identifier)
        if session is None:
            yield self._result(identifier)
            return
        with session.lock:
            yield session if session.is_open else self._result(identifier)

    def _session(self, identifier: str) -> UploadSession | None:
        """Return the session, from the disk after a restart; None if it isn't open."""
        with self._loading:
            if identifier not in self._sessions:
                with self._database.read() as connection:
                    query = "SELECT request, file FROM uploads WHERE id = ? AND state = 'open'"
                    row = connection.execute(query, (identifier,)).fetchone()
                if row is None:
                    return None
                session = UploadSession(identifier, UploadRequest.from_json(row[0]), row[1])
                self._recover(session)
                self._sessions[identifier] = session
            return self._sessions[identifier]

    def _recover(self, session: UploadSession) -> None:
        path = self._files.path(session.file)
        os.truncate(path, path.stat().st_size // BLOCK * BLOCK)
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                session.checksums.update(block)

    def _result(self, identifier: str) -> Json:
        with self._database.read() as connection:
            query = "SELECT state, result FROM uploads WHERE id = ?"
            row = connection.execute(query, (identifier,)).fetchone()
        if row is None:
            raise NotFound(f"No such upload: {identifier}")
        if row[0] == "cancelled":
            raise UploadCancelled("The upload was cancelled.")
        result: Json = json.loads(row[1])
        return result

    def _append(self, session: UploadSession, chunk: Chunk, body: Body) -> None:
        """Keep only whole blocks of a chunk that breaks off, like the real service."""
        known = session.checksums.size - chunk.start
        while known > 0 and (skipped := body.read(min(known, BLOCK))):
            known -= len(skipped)
        with self._files.path(session.file).open("ab", buffering=0) as target:
            for block in body.blocks():
                if len(block) < BLOCK and not (chunk.is_last and body.ended):
                    continue
                target.write(block)
                session.checksums.update(block)

    def _finish(self, session: UploadSession, checksums: dict[str, str]) -> Json:
        request = session.request
        content = session.checksums.content(session.file)
        try:
            if request.size not in (None, content.size):
                raise BadRequest(
                    f"The upload was announced with {request.size} bytes and has {content.size}."
                )
            content.check({**request.checksums, **checksums})

            def close(connection: sqlite3.Connection, created: ObjectRecord) -> None:
                result = json.dumps(created.resource(request.address))
                query = "UPDATE uploads SET state = 'done', result = ?, file = '' WHERE id = ?"
                connection.execute(query, (result, session.identifier))

            created = self._objects.create(
                request.bucket, request.name, request.settings, content, request.conditions, also=close
            )
        except ApiError:
            self._close(session, None)
            raise
        self._forget(session)
        return created.resource(request.address)

    def _close(self, session: UploadSession, state: str | None) -> None:
        with self._database.write() as connection:
            if state:
                query = "UPDATE uploads SET state = ?, file = '' WHERE id = ?"
                connection.execute(query, (state, session.identifier))
            else:
                connection.execute("DELETE FROM uploads WHERE id = ?", (session.identifier,))
        self._files.discard(session.file)
        self._forget(session)

    def _forget(self, session: UploadSession) -> None:
        session.is_open = False
        self._sessions.pop(session.identifier, None)


def _check_chunk(request: UploadRequest, chunk: Chunk) -> None:
    if None not in (request.size, chunk.total) and request.size != chunk.total:
        raise BadRequest(f"The upload was announced with {request.size} bytes, not {chunk.total}.")
    if chunk.length is None or chunk.is_last:
        return
    if chunk.length % BLOCK:
        raise BadRequest(f"A chunk that isn't the last must be a multiple of {BLOCK} bytes.")
