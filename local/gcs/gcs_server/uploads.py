"""Resumable uploads: what has arrived stays, across broken connections and a killed server.

How much has arrived is the length of the file, so a chunk costs no transaction.
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
from gcs_server.datafiles import DataFiles, Sums
from gcs_server.errors import BadRequest, NotFound, Refused, UploadCancelled, UploadOffset
from gcs_server.objects import Objects
from gcs_server.preconditions import Preconditions
from gcs_server.resources import Json, StoredObject
from gcs_server.wire import BLOCK, Body

# https://cloud.google.com/storage/docs/resumable-uploads: a session is good for a week (seconds)
_LIFETIME = 7 * 24 * 60 * 60


@dataclass(frozen=True)
class Plan:
    """What an upload shall become; `size` is None where it isn't known beforehand."""

    bucket: str
    name: str
    settings: Json
    claims: dict[str, str]
    conditions: Preconditions
    size: int | None

    def as_json(self) -> str:
        """For storing."""
        fields = (self.bucket, self.name, self.settings, self.claims, self.conditions.as_dict(), self.size)
        return json.dumps(fields)

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        """The way back."""
        bucket, name, settings, claims, conditions, size = json.loads(text)
        return cls(bucket, name, settings, claims, Preconditions(**conditions), size)


@dataclass(frozen=True)
class Chunk:
    """Where a request's body belongs: the `length` bytes from `start` on, of `total`, if that is known."""

    start: int
    length: int | None
    total: int | None

    @property
    def is_last(self) -> bool:
        """Whether nothing is to follow."""
        return self.length is None or (self.total is not None and self.start + self.length == self.total)


class Session:
    """One upload under way; whoever uses it holds its lock."""

    def __init__(self, identifier: str, plan: Plan, file: str) -> None:
        self.identifier = identifier
        self.plan = plan
        self.file = file
        self.sums = Sums()
        self.lock = threading.Lock()
        self.is_open = True


class Uploads:
    """The resumable uploads of all buckets."""

    def __init__(self, database: Database, files: DataFiles, objects: Objects) -> None:
        self._database = database
        self._files = files
        self._objects = objects
        self._sessions: dict[str, Session] = {}
        self._loading = threading.Lock()

    def start(self, plan: Plan) -> str:
        """The new upload's id; raises what creating the object now would."""
        self._objects.check_target(plan.bucket, plan.name, plan.conditions)
        session = Session(secrets.token_urlsafe(32), plan, self._files.new())
        self._files.path(session.file).touch()
        row = (session.identifier, plan.as_json(), session.file, time.time(), "open", None)
        with self._database.write() as connection:
            connection.execute("INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?)", row)
        self._sessions[session.identifier] = session
        return session.identifier

    def received(self, identifier: str) -> int | Json:
        """How many bytes have arrived, or, of a finished upload, the object's JSON.

        Raises NotFound, UploadCancelled.
        """
        with self._use(identifier) as session:
            return session.sums.size if isinstance(session, Session) else session

    def add(self, identifier: str, chunk: Chunk, body: Body, claims: dict[str, str]) -> int | Json:
        """Takes in the chunk: how many bytes there are now, or, after the last, the object's JSON.

        Raises NotFound, UploadCancelled; BadRequest for a chunk that doesn't fit; UploadOffset for one
        that begins too late; Disconnected, having kept all whole blocks that came before; and what
        creating the object does, which ends the upload.
        """
        with self._use(identifier) as session:
            if not isinstance(session, Session):
                return session
            _check_chunk(session.plan, chunk)
            if chunk.start > session.sums.size:
                raise UploadOffset(
                    f"Invalid request. According to the Content-Range header, the upload offset is "
                    f"{chunk.start} byte(s), which exceeds already uploaded size of "
                    f"{session.sums.size} byte(s)."
                )
            self._append(session, chunk, body)
            return self._finish(session, claims) if chunk.is_last else session.sums.size

    def finish(self, identifier: str, total: int, claims: dict[str, str]) -> int | Json:
        """As `add` with no bytes, by a sender that now knows there are `total`."""
        with self._use(identifier) as session:
            if not isinstance(session, Session):
                return session
            _check_chunk(session.plan, Chunk(0, 0, total))
            return self._finish(session, claims) if session.sums.size == total else session.sums.size

    def cancel(self, identifier: str) -> None:
        """Ends the upload and removes what had arrived; raises NotFound, UploadCancelled."""
        with self._use(identifier) as session:
            if isinstance(session, Session):
                self._close(session, "cancelled")

    def sweep(self) -> None:
        """Forgets the uploads that are past their time."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM uploads WHERE started < ?", (time.time() - _LIFETIME,))

    @contextmanager
    def _use(self, identifier: str) -> Iterator[Session | Json]:
        session = self._session(identifier)
        if session is None:
            yield self._result(identifier)
            return
        with session.lock:
            yield session if session.is_open else self._result(identifier)

    def _session(self, identifier: str) -> Session | None:
        """The session, read back from the disk if this process doesn't know it; None if it isn't open."""
        with self._loading:
            if identifier not in self._sessions:
                with self._database.read() as connection:
                    query = "SELECT request, file FROM uploads WHERE id = ? AND state = 'open'"
                    row = connection.execute(query, (identifier,)).fetchone()
                if row is None:
                    return None
                session = Session(identifier, Plan.from_json(row[0]), row[1])
                self._recover(session)
                self._sessions[identifier] = session
            return self._sessions[identifier]

    def _recover(self, session: Session) -> None:
        path = self._files.path(session.file)
        os.truncate(path, path.stat().st_size // BLOCK * BLOCK)
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                session.sums.update(block)

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

    def _append(self, session: Session, chunk: Chunk, body: Body) -> None:
        """Only whole blocks are kept of a chunk that breaks off, as the real service does."""
        known = session.sums.size - chunk.start
        while known > 0 and (skipped := body.read(min(known, BLOCK))):
            known -= len(skipped)
        with self._files.path(session.file).open("ab", buffering=0) as target:
            for block in body.blocks():
                if len(block) < BLOCK and not (chunk.is_last and body.ended):
                    continue
                target.write(block)
                session.sums.update(block)

    def _finish(self, session: Session, claims: dict[str, str]) -> Json:
        plan = session.plan
        content = session.sums.content(session.file)
        try:
            if plan.size not in (None, content.size):
                raise BadRequest(f"The upload was announced with {plan.size} bytes and has {content.size}.")
            content.check({**plan.claims, **claims})

            def close(connection: sqlite3.Connection, created: StoredObject) -> None:
                result = json.dumps(created.resource(self._objects.address))
                query = "UPDATE uploads SET state = 'done', result = ?, file = '' WHERE id = ?"
                connection.execute(query, (result, session.identifier))

            created = self._objects.create(
                plan.bucket, plan.name, plan.settings, content, plan.conditions, also=close
            )
        except Refused:
            self._close(session, None)
            raise
        self._forget(session)
        return created.resource(self._objects.address)

    def _close(self, session: Session, state: str | None) -> None:
        with self._database.write() as connection:
            if state:
                query = "UPDATE uploads SET state = ?, file = '' WHERE id = ?"
                connection.execute(query, (state, session.identifier))
            else:
                connection.execute("DELETE FROM uploads WHERE id = ?", (session.identifier,))
        self._files.discard(session.file)
        self._forget(session)

    def _forget(self, session: Session) -> None:
        session.is_open = False
        self._sessions.pop(session.identifier, None)


def _check_chunk(plan: Plan, chunk: Chunk) -> None:
    if None not in (plan.size, chunk.total) and plan.size != chunk.total:
        raise BadRequest(f"The upload was announced with {plan.size} bytes, not {chunk.total}.")
    if chunk.length is None or chunk.is_last:
        return
    if chunk.length % BLOCK:
        raise BadRequest(f"A chunk that isn't the last must be a multiple of {BLOCK} bytes.")
