"""The rules by which objects become files and bundles; pure.

All names follow from where an object is and when it was written. So the same objects become the same files
and bundles, however often and by whom they are imported: nothing is ever in twice.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from uuid import UUID, uuid5

from shared.errors import IllegalArguments
from shared.identifiers import check_uuid, version_after, version_of

# The namespaces of the UUIDs of files and bundles that are imported. They must never change.
_FILES = UUID("0c5c3d0a-6a0e-5b7b-9f5e-2a4d7be1c901")
_BUNDLES = UUID("8f1f4f5e-30c6-5a5c-8b1f-7a9c4d2e6b02")
# Work on one import that goes on side by side: the bundles are dealt out to so many shards by their names.
SHARDS = 64


def place(key: str, prefix: str, depth: int) -> tuple[str, str]:
    """Return the folder whose bundle an object belongs to, and its name there; together they are its key.

    The folder is the first `depth` folders below `prefix`, which is empty or ends with a slash; fewer, if the
    key has fewer.
    """
    steps = key[len(prefix) :].split("/")
    taken = min(depth, len(steps) - 1)
    folder = prefix + "".join(f"{step}/" for step in steps[:taken])
    return folder, key[len(folder) :]


def file_uuid(owner_group: str, url: str) -> str:
    """Return the UUID of the file that an object becomes; a group that owns its data has its own files."""
    return str(uuid5(_FILES, json.dumps([owner_group, url])))


def bundle_uuid(scope: str, name: str) -> str:
    """Return the UUID of a bundle: the name if that is a UUID; else what follows from it and its scope.

    The scope of a folder is the group that owns the bundle. A name of a table is its owner's alone.
    """
    try:
        return check_uuid(name)
    except IllegalArguments:
        return str(uuid5(_BUNDLES, json.dumps([scope, name])))


def file_version(written: datetime, revision: str) -> str:
    """Return the version of the file that an object becomes: when the object was written.

    S3 and web servers tell whole seconds; the rest follows from the revision, so that an object that is
    replaced within a second is another version.
    """
    if written.microsecond == 0:
        digest = hashlib.sha256(revision.encode()).digest()
        written += timedelta(microseconds=int.from_bytes(digest[:8]) % 1_000_000)
    return version_of(written)


def bundle_version(files: Iterable[str], newest: str | None) -> str:
    """Return the version of a bundle of files of these versions: that of the newest file.

    If the bundle has a version already, with other files, the new one comes after it.
    """
    derived = max(files)
    return derived if newest is None or derived > newest else version_after(newest)


def shard_of(bundle: str) -> int:
    """Return the shard of a bundle, by its name."""
    return hashlib.sha256(bundle.encode("utf-8", "surrogatepass")).digest()[0] % SHARDS


def is_metadata(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a file is indexed: its name fits a pattern, in which `*` also stands for slashes."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def doubled(names: Sequence[tuple[str, str]]) -> Mapping[int, str]:
    """Return what is wrong with the names of rows, given as bundle and name, by index.

    Of two rows with one name in a bundle the first counts; so it does of a file and a directory of one name.
    """
    seen: dict[str, dict[str, bool]] = defaultdict(dict)
    wrong = {}
    for index, (bundle, name) in enumerate(names):
        # Of each path, whether it is a file; if not, it is a directory.
        paths = seen[bundle]
        parents = _parents(name)
        if paths.get(name):
            wrong[index] = f"the bundle has a file {name!r} already"
        elif name in paths:
            wrong[index] = f"the bundle has a directory {name!r} already"
        elif file := next((parent for parent in parents if paths.get(parent)), None):
            wrong[index] = f"{file!r} is a file of the bundle, and can't be a directory"
        else:
            paths |= dict.fromkeys(parents, False)
            paths[name] = True
    return wrong


def _parents(name: str) -> list[str]:
    steps = name.split("/")
    return ["/".join(steps[:count]) for count in range(1, len(steps))]
