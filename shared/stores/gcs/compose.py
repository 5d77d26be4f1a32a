"""Objects of GCS put together from many, 32 at a time, in a tree."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from google.cloud.storage import Blob, Bucket

from shared.deadlines import inherited
from shared.stores.gcs.errors import translated

# GCS: a compose request takes 32 source objects.
_MAX_SOURCES = 32
_PARALLEL = 16


def compose(
    bucket: Bucket,
    names: Sequence[str],
    *,
    into: str,
    content_type: str,
    scratch: str = "",
    only_new: bool = False,
) -> Blob:
    """Return an object whose content is that of the named ones, in order. Safe to repeat.

    Leaves intermediate objects, named `scratch` (`into`, if not given) with an ending: of 70 sources, three
    objects of 32, 32 and 6 sources, which the last request composes. With `only_new`, raises ObjectExists if
    there is such an object already.
    """
    with ThreadPoolExecutor(_PARALLEL) as threads:
        level = 0
        while len(names) > _MAX_SOURCES:
            groups = [names[start : start + _MAX_SOURCES] for start in range(0, len(names), _MAX_SOURCES)]
            targets = [f"{scratch or into}-{level}-{number:05d}" for number in range(len(groups))]
            list(
                threads.map(inherited(lambda target, group: _compose(bucket, group, target)), targets, groups)
            )
            names, level = targets, level + 1
    return _compose(bucket, names, into, content_type, only_new=only_new)


def _compose(
    bucket: Bucket,
    names: Sequence[str],
    target: str,
    content_type: str = "application/octet-stream",
    *,
    only_new: bool = False,
) -> Blob:
    blob = bucket.blob(target)
    blob.content_type = content_type
    with translated(bucket.name, target):
        sources = [bucket.blob(name) for name in names]
        blob.compose(sources, if_generation_match=0 if only_new else None)
    return blob
