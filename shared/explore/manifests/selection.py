"""What a manifest is made of: the files of a catalogue that match filters, as one reader sees them."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Protocol

from shared.explore.bundle_metadata import BundleMetadata, Json
from shared.explore.catalogues import Catalogue
from shared.explore.links import file_url
from shared.explore.query import Query, Sought
from shared.identifiers import Fqid


@dataclass(frozen=True)
class SelectedFile:
    """A document of the type `files`: its entity's id, and what `Plugin.document` has made, with `bundles`
    and `sources`."""

    entity_id: str
    document: Mapping[str, Any] = field(repr=False)

    @property
    def contents(self) -> Mapping[str, list[dict[str, Json]]]:
        """The lists of inner entities."""
        found: Mapping[str, list[dict[str, Json]]] = self.document["contents"]
        return found

    @property
    def files(self) -> Iterator[tuple[Mapping[str, Json], bool]]:
        """The files that it stands for: its own, and its members if it is a zarr store; whether each is one
        of these."""
        for file in self.contents.get("files", ()):
            yield file, False
            for related in file.get("related_files", ()):
                yield related, True


@dataclass(frozen=True)
class FileOfBundle:
    """That a selected file is in a bundle; `file` has an empty document if those were not asked for."""

    bundle: Fqid
    file: SelectedFile


# To be closed: they hold a connection.
SelectedFiles = Generator[SelectedFile, None, None]
FilesOfBundles = Generator[FileOfBundle, None, None]


class Selection(Protocol):
    """The files that a manifest lists. All methods raise Unavailable.

    Each generator reads the catalogue as it is at one moment, in pages, and has to be closed.
    """

    catalogue: Catalogue
    base_url: str

    def files(self, after: str = "") -> SelectedFiles:
        """Yield the files behind an entity's id, in order of these ids."""
        ...

    def files_by_bundle(self, after: tuple[str, str] = ("", ""), *, documents: bool = True) -> FilesOfBundles:
        """Yield the files behind a bundle's UUID and an entity's id, in order of these.

        A file is there once for each bundle that it is in. Without `documents` these are not read.
        """
        ...

    def metadata(self, bundles: Iterable[Fqid]) -> Iterator[BundleMetadata]:
        """Yield the metadata of bundles, in their order, read side by side from the store.

        Bundles that were deleted meanwhile are left out.
        """
        ...


def name_of(file: Mapping[str, Json]) -> str:
    """Return the name of a file: plug-ins keep one, or several, of which the first counts."""
    names = file.get("names")
    return str(names[0] if names else file.get("name", ""))


def url_of(selection: Selection, file: Mapping[str, Json], *, is_related: bool = False) -> str:
    """Return the URL that redirects to the content of a file; empty if it is none of the store.

    A member of a zarr store is no entity of the catalogue. If it `is_related`, its URL says so as the
    predecessor's does, so that the service finds it.
    """
    if "uuid" not in file or "version" not in file:
        return ""
    more = {"requestIndex": "1", "fileName": file["name"], "drsUri": file["drs_uri"]} if is_related else {}
    return file_url(selection.base_url, selection.catalogue.name, file, **more)


ReadMetadata = Callable[[Iterable[Fqid]], Iterator[BundleMetadata]]


class ReadsFiles(Protocol):
    """What reads the files of catalogues: `CatalogueStore` has these methods."""

    def files(self, catalogue: Catalogue, sought: Sought, query: Query, after: str = "") -> SelectedFiles:
        """Yield all documents of a type behind an entity's id."""
        ...

    def files_by_bundle(
        self,
        catalogue: Catalogue,
        sought: Sought,
        query: Query,
        after: tuple[str, str] = ("", ""),
        *,
        documents: bool = True,
    ) -> FilesOfBundles:
        """Yield them once for each bundle that they are in."""
        ...


class CatalogueSelection:
    """The files of a catalogue that match a query, for a reader who looks up some labels; see `Selection`.

    `read` returns the metadata of bundles, in their order, without those that are gone.
    """

    def __init__(
        self,
        store: "ReadsFiles",
        catalogue: Catalogue,
        sought: Sought,
        query: Query,
        *,
        base_url: str,
        read: "ReadMetadata",
    ) -> None:
        self.catalogue = catalogue
        self.base_url = base_url
        # How many files were read, all iterators together.
        self.read = 0
        self._asked = catalogue, sought, query
        self._store = store
        self._read_metadata = read

    def files(self, after: str = "") -> SelectedFiles:
        """Yield the files behind an entity's id, in order of these ids."""
        with closing(self._store.files(*self._asked, after)) as files:
            for each in files:
                self.read += 1
                yield each

    def files_by_bundle(self, after: tuple[str, str] = ("", ""), *, documents: bool = True) -> FilesOfBundles:
        """Yield the files behind a bundle's UUID and an entity's id, in order of these."""
        found = self._store.files_by_bundle(*self._asked, after, documents=documents)
        with closing(found):
            for each in found:
                self.read += 1
                yield each

    def metadata(self, bundles: Iterable[Fqid]) -> Iterator[BundleMetadata]:
        """Yield the metadata of bundles, in their order."""
        return self._read_metadata(bundles)
