"""Objects made of objects, inside the server: compose, rewrite, copy."""

import json
import secrets
from contextlib import ExitStack
from dataclasses import dataclass

from gcs_server.buckets import Buckets
from gcs_server.database import Database
from gcs_server.errors import BadRequest
from gcs_server.objects import Objects
from gcs_server.preconditions import Preconditions
from gcs_server.resources import Json, StoredObject

# https://cloud.google.com/storage/quotas#objects
COMPOSE_LIMIT = 32
_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Part:
    """One source of a compose."""

    name: str
    generation: int | None
    conditions: Preconditions


@dataclass(frozen=True)
class Source:
    """What to copy."""

    bucket: str
    name: str
    generation: int | None
    conditions: Preconditions


@dataclass(frozen=True)
class Target:
    """Where to copy to. With any settings, none of the source's are inherited."""

    bucket: str
    name: str
    settings: Json
    conditions: Preconditions


@dataclass(frozen=True)
class Progress:
    """How far a rewrite has come: `token` continues it, `created` is there when it is done."""

    rewritten: int
    size: int
    token: str | None
    created: StoredObject | None


class Copying:
    """Every method raises NotFound, PreconditionFailed, BucketNotFound, Forbidden as the objects do."""

    def __init__(self, database: Database, buckets: Buckets, objects: Objects, bytes_per_call: int) -> None:
        self._database = database
        self._buckets = buckets
        self._objects = objects
        self._bytes_per_call = bytes_per_call

    def compose(
        self, bucket: str, name: str, parts: list[Part], settings: Json, conditions: Preconditions
    ) -> StoredObject:
        """A new object of the parts' content, in order; raises BadRequest for no parts or too many."""
        if not 1 <= len(parts) <= COMPOSE_LIMIT:
            raise BadRequest(f"The number of source components must be between 1 and {COMPOSE_LIMIT}.")
        self._objects.check_target(bucket, name, conditions)
        with ExitStack() as stack:
            files = []
            components = 0
            for part in parts:
                found, file = self._objects.open(bucket, part.name, part.generation)
                files.append(stack.enter_context(file))
                part.conditions.check(found.generation, found.metageneration)
                components += found.attributes.get("componentCount", 1)
            content = self._objects.files.concatenate(files, components)
        return self._objects.create(bucket, name, settings, content, conditions)

    def copy(self, source: Source, target: Target) -> StoredObject:
        """A copy of the source, in one call."""
        self._objects.check_target(target.bucket, target.name, target.conditions)
        found, file = self._objects.linked(source.bucket, source.name, source.generation, source.conditions)
        settings = target.settings or found.editable()
        return self._objects.create(
            target.bucket, target.name, settings, found.content(file), target.conditions
        )

    def rewrite(self, source: Source, target: Target, token: str | None, limit: int | None) -> Progress:
        """One call of a rewrite, of at most `limit` bytes unless the content needn't be moved.

        Raises BadRequest for a token that isn't this rewrite's, or a limit that isn't whole mebibytes.
        """
        if limit is not None and (limit < _MEBIBYTE or limit % _MEBIBYTE):
            raise BadRequest("maxBytesRewrittenPerCall must be an integral multiple of 1 MiB (1048576).")
        self._objects.check_target(target.bucket, target.name, target.conditions)
        found = self._objects.get(source.bucket, source.name, source.generation)
        source.conditions.check(found.generation, found.metageneration)
        done = self._progress(token, source, target, found) if token else 0
        done = found.size if self._is_quick(found, target) else done + (limit or self._bytes_per_call)
        if done < found.size:
            return Progress(done, found.size, self._remember(token, source, target, found, done), None)
        exact = Source(source.bucket, source.name, found.generation, source.conditions)
        created = self.copy(exact, target)
        if token:
            with self._database.write() as connection:
                connection.execute("DELETE FROM rewrites WHERE token = ?", (token,))
        return Progress(found.size, found.size, None, created)

    def _is_quick(self, found: StoredObject, target: Target) -> bool:
        here, there = self._buckets.get(found.bucket), self._buckets.get(target.bucket)
        wanted = target.settings.get("storageClass") or there.attributes["storageClass"]
        return here.same_place(there, found.attributes["storageClass"], wanted)

    def _progress(self, token: str, source: Source, target: Target, found: StoredObject) -> int:
        with self._database.read() as connection:
            query = "SELECT request, generation, done FROM rewrites WHERE token = ?"
            row = connection.execute(query, (token,)).fetchone()
        if row is None or row[0] != _identity(source, target) or row[1] != found.generation:
            raise BadRequest("The rewrite token is invalid, or isn't of this source and destination.")
        return int(row[2])

    def _remember(
        self, token: str | None, source: Source, target: Target, found: StoredObject, done: int
    ) -> str:
        token = token or secrets.token_urlsafe(24)
        row = (token, _identity(source, target), found.generation, done)
        with self._database.write() as connection:
            connection.execute("INSERT OR REPLACE INTO rewrites VALUES (?, ?, ?, ?)", row)
        return token


def _identity(source: Source, target: Target) -> str:
    return json.dumps([source.bucket, source.name, target.bucket, target.name, target.settings])
