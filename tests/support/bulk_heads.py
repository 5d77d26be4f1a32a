"""Thousands of files and bundles, made in a second by copying heads in the catalog.

The API makes the original; its head is then written again under other UUIDs. A copied file has a blob and a
head, but no manifest in the bucket: PUT /bundles does not read it.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from shared.identifiers import moment_of, version_of
from tests.support.api import Version, new_uuid
from tests.support.dss import firestore_client

# Firestore: 10 MiB a request; a head has less than 1 KiB.
_COMMIT = 500


def duplicate_files(env: Mapping[str, str], file: Version, count: int) -> list[Version]:
    """Return `count` new files that differ from `file` only in their UUIDs, on the same replicas."""
    copies = [Version(new_uuid(), file.version) for _ in range(count)]
    _copy_head(env, "files", file, copies)
    return copies


def older_versions(env: Mapping[str, str], file: Version, count: int) -> list[Version]:
    """Return `count` new versions of `file`, older than it, on the same replicas."""
    newest = moment_of(file.version)
    copies = [
        Version(file.uuid, version_of(newest - timedelta(seconds=number))) for number in range(1, count + 1)
    ]
    _copy_head(env, "files", file, copies)
    return copies


def duplicate_bundles(env: Mapping[str, str], bundle: Version, count: int, *, prefix: str) -> list[Version]:
    """Return `count` new bundles like an empty one; their UUIDs begin with `prefix`."""
    copies = [Version(prefix + new_uuid()[len(prefix) :], bundle.version) for _ in range(count)]
    _copy_head(env, "bundles", bundle, copies)
    return copies


def _copy_head(env: Mapping[str, str], collection: str, original: Version, copies: Sequence[Version]) -> None:
    client = firestore_client(env)
    heads = client.collection(collection)
    document = heads.document(str(original)).get().to_dict()
    for start in range(0, len(copies), _COMMIT):
        batch = client.batch()
        for copy in copies[start : start + _COMMIT]:
            named = {"uuid": copy.uuid, "version": copy.version, "fqid": str(copy)}
            # Files have no field of their full name.
            known = {field: value for field, value in named.items() if field in document}
            batch.create(heads.document(str(copy)), document | known)
        batch.commit()
    client.close()
