"""Make objects of objects, inside the server: compose, rewrite, copy."""

import json
import secrets
from contextlib import ExitStack
from dataclasses import dataclass

from gcs_server.buckets import Buckets
from gcs_server.database import Database
from gcs_server.errors import BadRequest
from gcs_server.objects import Objects
from gcs_server.preconditions import Preconditions
from gcs_server.resources import Json, ObjectRecord

# https://cloud.google.com/storage/quotas#objects
COMPOSE_LIMIT = 32
_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class ComposeSource:
    """A source of a compose."""

    name: str
    generation: int | None
    conditions: Preconditions


@dataclass(frozen=True)
class CopySource:
    """The source of a copy or rewrite."""

    bucket: str
    name: str
    generation: int | None
    conditions: Preconditions


@dataclass(frozen=True)
class CopyTarget:
    """The target of a copy or rewrite. It inherits the source's settings only if it has none itself."""

    bucket: str
    name: str
    settings: Json
    conditions: Preconditions


@dataclass(frozen=True)
class RewriteProgress:
    """The progress of a rewrite: `token` continues it; `created` is None until it is done."""

    rewritten: int
    size: int
    token: str | None
    created: ObjectRecord | None


class Copying:
    """Compose, copy and rewrite. All raise NotFound, PreconditionFailed, BucketNotFound, Forbidden."""

    def __init__(self, database: Database, buckets: Buckets, objects: Objects, bytes_per_call: int) -> None:
        self._database = database
        self._buckets = buckets
        self._objects = objects
        self._bytes_per_call = bytes_per_call

    def compose(
        self, bucket: str, name: str, sources: list[ComposeSource], settings: Json, conditions: Preconditions
    ) -> ObjectRecord:
        """Create an object of the sources' content, in order. Raises BadRequest for none or too many."""
        if not 1 <= len(sources) <= COMPOSE_LIMIT:
            raise BadRequest(f"The number of source components must be between 1 and {COMPOSE_LIMIT}.")
        self._objects.check_target(bucket, name, conditions)
        with ExitStack() as stack:
            files = []
            components = 0
            for source in sources:
                found, file = self._objects.open(bucket, source.name, source.generation)
                files.append(stack.enter_context(file))
                source.conditions.check(found.generation, found.metageneration)
                components += found.attributes.get("componentCount", 1)
            content = self._objects.files.concatenate(files, components)
        return self._objects.create(bucket, name, settings, content, conditions)

    def copy(self, source: CopySource, target: CopyTarget) -> ObjectRecord:
        """Copy the source in one call."""
        self._objects.check_target(target.bucket, target.name, target.conditions)
        found, file = self._objects.linked(source.bucket, source.name, source.generation, source.conditions)
        settings = target.settings or found.editable()
        return self._objects.create(
            target.bucket, target.name, settings, found.content(file), target.conditions
        )

    def rewrite(
        self, source: CopySource, target: CopyTarget, token: str | None, limit: int | None
    ) -> RewriteProgress:
        """Make one call of a rewrite, of at most `limit` bytes unless the content needn't be moved.

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
            return RewriteProgress(done, found.size, self._remember(token, source, target, found, done), None)
        exact = CopySource(source.bucket, source.name, found.generation, source.conditions)
        created = self.copy(exact, target)
        if token:
            with self._database.write() as connection:
                connection.execute("DELETE FROM rewrites WHERE token = ?", (token,))
        return RewriteProgress(found.size, found.size, None, created)

    def _is_quick(self, found: ObjectRecord, target: CopyTarget) -> bool:
        here, there = self._buckets.get(found.bucket), self._buckets.get(target.bucket)
        wanted = target.settings.get("storageClass") or there.attributes["storageClass"]
        return here.same_place(there, found.attributes["storageClass"], wanted)

    def _progress(self, token: str, source: CopySource, target: CopyTarget, found: ObjectRecord) -> int:
        with self._database.read() as connection:
            query = "SELECT request, generation, done FROM rewrites WHERE token = ?"
            row = connection.execute(query, (token,)).fetchone()
        if row is None or row[0] != _identity(source, target) or row[1] != found.generation:
            raise BadRequest("The rewrite token is invalid, or isn't of this source and destination.")
        return int(row[2])

    def _remember(
        self, token: str | None, source: CopySource, target: CopyTarget, found: ObjectRecord, done: int
    ) -> str:
        token = token or secrets.token_urlsafe(24)
        row = (token, _identity(source, target), found.generation, done)
        with self._database.write() as connection:
            connection.execute("INSERT OR REPLACE INTO rewrites VALUES (?, ?, ?, ?)", row)
        return token


def _identity(source: CopySource, target: CopyTarget) -> str:
    return json.dumps([source.bucket, source.name, target.bucket, target.name, target.settings])
