"""The plug-in for the Human Cell Atlas's metadata."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from shared.explore.bundle_metadata import BundleMetadata, Contribution, Json
from shared.explore.drs_uris import versioned_drs_uri
from shared.explore.hca.aggregation import MERGES, document
from shared.explore.hca.columns import COLUMNS, TYPED_COLUMNS
from shared.explore.hca.contributions import contributions
from shared.explore.hca.documents import is_hca
from shared.explore.hca.fields import FIELDS
from shared.explore.hca.hits import hit
from shared.explore.hca.kinds import KINDS
from shared.explore.hca.originals import originals
from shared.explore.hca.summary import summary, sums
from shared.explore.manifests.originals import Original
from shared.explore.plugins import EntityType
from shared.explore.query import Summaries
from shared.explore.tallies import Counts, Slot

# What people search by words, beside facets.
_WORDS = (
    ("projects", "project_title"),
    ("projects", "project_short_name"),
    ("projects", "project_description"),
    ("projects", "laboratory"),
    ("projects", "contact_names"),
    ("projects", "publication_titles"),
    ("files", "name"),
    ("samples", "biomaterial_id"),
)


class HcaPlugin:
    """Shows projects, samples, files and bundles by species, organ, disease, method and format."""

    entity_types: Mapping[str, EntityType] = {
        "files": EntityType("fileName"),
        "samples": EntityType("sampleId"),
        "projects": EntityType("projectTitle", max_size=100),
        "bundles": EntityType("bundleVersion", "desc", max_size=100),
        # Counted in the summary, and not listed.
        "cell_suspensions": EntityType("entryId", is_listed=False),
    }
    fields = FIELDS
    merges = MERGES
    manifest_columns = COLUMNS
    manifest_typed_columns = TYPED_COLUMNS
    manifest_kinds = KINDS

    def __init__(self, *, host: str) -> None:
        self._drs_uri = versioned_drs_uri(host)

    def accepts(self, bundle: BundleMetadata) -> bool:
        """Return whether a bundle has the HCA's project file."""
        return is_hca(bundle)

    def contributions(self, bundle: BundleMetadata) -> list[Contribution]:
        """Return what a bundle says of each of its entities. Raises UnusableMetadata."""
        return contributions(bundle, self._drs_uri)

    def originals(self, bundle: BundleMetadata, files: Collection[str] | None) -> Iterator[Original]:
        """Yield the metadata documents that say something of some files, or all. Raises UnusableMetadata."""
        return originals(bundle, files)

    def document(self, entity_type: str, tallies: Mapping[Slot, Counts]) -> dict[str, Any]:
        """Return an entity's document, of the counts of its inner entities' values."""
        return document(entity_type, tallies)

    def hit(self, entity_type: str, document: Mapping[str, Any]) -> dict[str, Json]:
        """Return a document as the predecessor's API shows it."""
        return hit(entity_type, document)

    def sums(self, entity_type: str, document: Mapping[str, Any]) -> list[int]:
        """Return numbers of a document that summaries add up."""
        return sums(entity_type, document)

    def summary(self, ask: Summaries) -> dict[str, Json]:
        """Return the predecessor's summary."""
        return summary(ask)

    def words(self, document: Mapping[str, Any]) -> str:
        """Return titles, descriptions and names."""
        contents = document["contents"]
        texts = [inner.get(name) for listed, name in _WORDS for inner in contents.get(listed, ())]
        flat = (each for text in texts for each in (text if isinstance(text, list) else [text]))
        return " ".join(str(text) for text in flat if text is not None)
