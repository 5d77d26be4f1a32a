"""The protocol of what holds catalogues: written by the indexer, asked by the service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from shared.explore.bundle_metadata import Json
from shared.explore.catalogues import Catalogue
from shared.explore.changes import Said
from shared.explore.manifests.selection import FilesOfBundles, SelectedFiles
from shared.explore.query import FacetCounts, Found, FoundPage, PageOrder, Query, Sought, Summed
from shared.explore.upkeep import CatalogueUpkeep
from shared.identifiers import Fqid

INDEXED, FAILED, LEFT_OUT, WITHDRAWN, DELETED = "indexed", "failed", "left out", "withdrawn", "deleted"
STATES = (INDEXED, FAILED, LEFT_OUT, WITHDRAWN, DELETED)


@dataclass(frozen=True, kw_only=True)
class BundleState:
    """What a catalogue records of a bundle version: one of the states above.

    `said` is what an INDEXED one says, `reason` why one has FAILED or is LEFT_OUT, `labels` those of its
    readers (`shared.access.labels`), and `release` that of the plug-in which read it.
    """

    fqid: Fqid
    state: str
    labels: frozenset[str] = frozenset()
    release: str = ""
    reason: str = ""
    said: Said | None = None


class CatalogueStore(Protocol):
    """Holds catalogues. All methods raise Unavailable.

    `sought` are the labels that a reader looks up; None is an admin. What a reader may not see has no part in
    any answer.
    """

    @property
    def upkeep(self) -> CatalogueUpkeep:
        """What operators and the sweep look after catalogues by."""
        ...

    def catalogues(self) -> Mapping[str, Catalogue]:
        """Return the catalogues of the configuration by name, the default one first."""
        ...

    def put(self, catalogue: Catalogue, state: BundleState) -> bool:
        """Record a bundle version, and change all that follows from it at once; return whether anything
        changed.

        Safe to repeat, in any order: a deletion is final, and an older version does not replace a newer one.
        Raises TooManyAudiences, and MadeOtherwise if the catalogue was made by another configuration.
        """
        ...

    def state(self, catalogue: Catalogue, fqid: Fqid) -> BundleState | None:
        """Return what is recorded of a bundle version, without what it says."""
        ...

    def page(self, catalogue: Catalogue, sought: Sought, query: Query, order: PageOrder) -> FoundPage:
        """Return a page of documents."""
        ...

    def one(self, catalogue: Catalogue, sought: Sought, query: Query, entity_id: str) -> Found | None:
        """Return an entity's document, if it matches a query."""
        ...

    def counts(
        self, catalogue: Catalogue, sought: Sought, query: Query
    ) -> tuple[int, Mapping[str, FacetCounts]]:
        """Return how many documents match, and the counts of facets."""
        ...

    def summary(self, catalogue: Catalogue, sought: Sought, query: Query) -> dict[str, Json]:
        """Return the summary of what matches a query, of all types of entities."""
        ...

    def sums(self, catalogue: Catalogue, sought: Sought, query: Query, by: str = "") -> Sequence[Summed]:
        """Return the sums of the numbers of documents that match, for each term of a field, or of all."""
        ...

    def growth(self, catalogue: Catalogue, sought: Sought, query: Query, name: str) -> Sequence[Summed]:
        """Return for each day of a field that has versions how many documents have it, in order of time.

        `term` is the day, such as `2024-03-01`, and `sums` has the first of the documents' numbers. Reads all
        documents of the type.
        """
        ...

    def revision(self, catalogue: Catalogue) -> int:
        """Return a number that changes with all that readers find in a catalogue, and never comes again."""
        ...

    def labels(self, sought: Sought) -> Sought:
        """Return those of the labels that a reader looks up which make a difference in any catalogue.

        Two readers with the same ones find the same; None is an admin.
        """
        ...

    def files(self, catalogue: Catalogue, sought: Sought, query: Query, after: str = "") -> SelectedFiles:
        """Yield all documents of a type behind an entity's id, in order of these ids.

        They are as they are at one moment, read in pages; a connection is held until the iterator is closed.
        """
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
        """Yield them once for each bundle that they are in and the reader may read, as `files` does.

        They are in order of bundle UUID and entity id, behind `after`. Without `documents` these are empty.
        """
        ...

    def forget(self, catalogue: Catalogue, fqids: Sequence[Fqid]) -> None:
        """Remove all that is recorded of bundle versions, so that they may be indexed again."""
        ...


class NoCatalogues:
    """A store without catalogues, for deployments that have none."""

    def catalogues(self) -> Mapping[str, Catalogue]:
        """Return no catalogues."""
        return {}

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{name}: there is no catalogue to ask; set DSS_CATALOGUES")


def by_state(counts: Mapping[tuple[str, str], int]) -> Mapping[str, int]:
    """Return how many bundle versions there are in each of the STATES, given `CatalogueUpkeep.counts`."""
    return {
        state: sum(count for (counted, _), count in counts.items() if counted == state) for state in STATES
    }
