"""The metadata documents of selected files as they were written, bundle by bundle."""

from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from shared.explore.bundle_metadata import BundleMetadata, Json, UnusableMetadata
from shared.explore.catalogues import Catalogue
from shared.explore.manifests.selection import FileOfBundle, SelectedFile, Selection
from shared.group_names import group_name
from shared.identifiers import Fqid

# Files whose bundles' metadata are read side by side.
_BATCH = 500


@dataclass(frozen=True)
class Original:
    """A metadata document as it is in the store: its type, the id of its entity, and its content.

    The id is that of the bundle and the file for a document of no entity.
    """

    type: str
    id: str
    value: Json = field(repr=False)


@dataclass(frozen=True)
class BundleOfFiles:
    """The metadata of a bundle, and those of its files that are selected, or some of them.

    `last` is the position to go on behind.
    """

    metadata: BundleMetadata = field(repr=False)
    files: Sequence[SelectedFile] = field(repr=False)
    last: tuple[str, str]


def bundles_of(
    selection: Selection, after: tuple[str, str] = ("", ""), *, documents: bool = True
) -> Generator[BundleOfFiles, None, None]:
    """Yield the bundles of the selected files in order of UUID; to be closed.

    One with very many files comes several times. Without `documents` those of the files are empty.
    """
    with closing(selection.files_by_bundle(after, documents=documents)) as found:
        for batch in _batches(found):
            for metadata in selection.metadata(batch):
                files = batch[metadata.fqid]
                yield BundleOfFiles(metadata, files, (metadata.fqid.uuid, files[-1].entity_id))


def _batches(found: Iterable[FileOfBundle]) -> Iterator[dict[Fqid, list[SelectedFile]]]:
    batch: dict[Fqid, list[SelectedFile]] = {}
    for number, each in enumerate(found, 1):
        batch.setdefault(each.bundle, []).append(each.file)
        if number % _BATCH == 0:
            yield batch
            batch = {}
    yield batch


def originals_of(
    catalogue: Catalogue, metadata: BundleMetadata, files: Collection[str] | None
) -> Iterator[Original]:
    """Yield the documents of a bundle that say something of some of its files, by the ids of their entities.

    Without `files` all of them. Which these are says the plug-in, if it has a method `originals`; else they
    are all that are indexed.
    """
    find: Any = getattr(catalogue.plugin, "originals", None)
    if find is not None:
        try:
            yield from list(find(metadata, files))
            return
        except UnusableMetadata:
            # Of a release of the plug-in that took it.
            pass
    for name, value in metadata.indexed.items():
        yield Original(group_name(name).removesuffix("_json"), f"{metadata.fqid.uuid}/{name}", value)
