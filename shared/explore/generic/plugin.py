"""The plug-in for bundles of any JSON: files and bundles, by their files and by facets of a configuration."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import chain
from typing import Any

from shared.explore.bundle_metadata import BundleMetadata, Contribution, Json
from shared.explore.drs_uris import versioned_drs_uri
from shared.explore.fields import Field, FieldType
from shared.explore.generic.configuration import parse_facets, parse_glob, parse_words
from shared.explore.generic.files import inner_files, words_of
from shared.explore.generic.values import read_values
from shared.explore.manifests.columns import Column, file_columns
from shared.explore.manifests.file_kinds import kind_of
from shared.explore.manifests.kinds import LONG, TEXT, Listed, Record, Uuid
from shared.explore.plugins import EntityType
from shared.explore.query import Summaries
from shared.explore.tallies import ENTITIES, Counts, Merge, Merges, Slot, common, number, total

FILES, BUNDLES = "files", "bundles"

# The same names as those of the HCA's catalogue, where it has the same.
_FIELDS = (
    Field("entryId", ("entity_id",)),
    Field("sourceId", ("sources", "id")),
    Field("sourceSpec", ("sources", "spec")),
    Field("bundleUuid", ("bundles", "uuid")),
    Field("bundleVersion", ("bundles", "version")),
    Field("fileName", ("files", "names")),
    Field("fileFormat", ("files", "format"), is_facet=True),
    Field("fileSize", ("files", "size"), FieldType.NUMBER),
    Field("fileId", ("files", "uuid")),
    Field("fileVersion", ("files", "version")),
    Field("contentType", ("files", "content_type"), is_facet=True),
    Field("sha256", ("files", "sha256")),
    Field("incomplete", ("metadata", "incomplete"), is_facet=True),
)
_COLUMNS = file_columns(
    file_name="name",
    file_format="format",
    file_size="size",
    file_uuid="uuid",
    file_version="version",
    file_sha256="sha256",
    file_content_type="content_type",
)
_FILE_KIND = Record(
    {
        **dict.fromkeys(("document_id", "version", "format", "content_type", "sha256", "drs_uri"), TEXT),
        "uuid": Uuid(),
        "names": Listed(TEXT),
        "size": LONG,
    }
)
# A bundle shows how many files of each format it has; the files themselves are entities.
_OF_A_FORMAT = Merge(
    fields={"format": common, "content_type": common, "size": total},
    derived={"count": (ENTITIES, number)},
    only=True,
    group_by=("format", "content_type"),
)
# The service adds this one to every catalogue.
_ADDED = frozenset(("accessible",))
# No name of a facet begins with _.
_TEXTS = "_texts"


class GenericPlugin:
    """Shows the files and bundles of any metadata, by format, type, name, size, and facets.

    `facets` and `words` are paths in the JSON metadata files of a bundle, and `require` is a glob of names,
    one of which a bundle must have among these files to be in the catalogue: docs/explore-plugins.md has
    them. Raises ValueError if one is not usable.
    """

    entity_types: Mapping[str, EntityType] = {
        FILES: EntityType("fileName"),
        BUNDLES: EntityType("bundleVersion", "desc"),
    }
    merges: Mapping[str, Merges] = {
        FILES: Merges({"files": Merge(as_they_are=True)}),
        BUNDLES: Merges({"files": _OF_A_FORMAT}),
    }

    def __init__(self, *, host: str, facets: Any = None, words: Any = (), require: Any = "") -> None:
        self._drs_uri = versioned_drs_uri(host)
        self._facets = parse_facets(facets or {}, {each.name for each in _FIELDS} | _ADDED)
        self._words = parse_words(words)
        self._require = parse_glob("require", require)
        self.fields = (
            *_FIELDS,
            *(
                Field(each.name, ("metadata", each.name), each.type, is_facet=each.is_counted)
                for each in self._facets
            ),
        )
        self.manifest_columns = (
            *_COLUMNS,
            *(Column(each.name, "metadata", each.name) for each in self._facets),
        )
        facets = {each.name: Listed(kind_of(each.type)) for each in self._facets}
        self.manifest_kinds = {
            "metadata": Record({**facets, "incomplete": Listed(TEXT)}),
            FILES: _FILE_KIND,
        }

    def accepts(self, bundle: BundleMetadata) -> bool:
        """Return whether a bundle has the metadata file that the configuration requires, if any."""
        return not self._require or any(fnmatchcase(name, self._require) for name in bundle.indexed)

    def contributions(self, bundle: BundleMetadata) -> list[Contribution]:
        """Return what a bundle says of each of its files, and of itself."""
        said = read_values(bundle, self._facets, self._words)
        metadata = {**said.facets, "incomplete": said.incomplete, _TEXTS: said.words}
        # Two versions of one file are one entity: the later one counts.
        files = sorted(inner_files(bundle.files, self._drs_uri), key=lambda file: file["version"])
        newest = {file["uuid"]: file for file in files}
        return [
            *(
                Contribution(FILES, uuid, {"files": [file], "metadata": [metadata]})
                for uuid, file in newest.items()
            ),
            Contribution(BUNDLES, bundle.fqid.uuid, {"files": files, "metadata": [metadata]}),
        ]

    def document(self, entity_type: str, tallies: Mapping[Slot, Counts]) -> dict[str, Any]:
        """Return an entity's document, of the counts of its inner entities' values."""
        return {"contents": self.merges[entity_type].contents(tallies)}

    def hit(self, entity_type: str, document: Mapping[str, Any]) -> dict[str, Json]:
        """Return a document as the API shows it: the file itself, or how many files of each format there
        are; the bundles, and the values of facets."""
        contents = document["contents"]
        files = contents.get("files", ())
        part, shown = ("files", _file) if entity_type == FILES else ("fileTypeSummaries", _of_format)
        return {
            "entryId": document["entity_id"],
            "sources": [{"sourceId": each["id"], "sourceSpec": each["spec"]} for each in document["sources"]],
            "bundles": [
                {"bundleUuid": each["uuid"], "bundleVersion": each["version"]} for each in document["bundles"]
            ],
            part: list(map(shown, files)),
            "metadata": {
                name: values for name, values in _metadata(document).items() if not name.startswith("_")
            },
        }

    def sums(self, entity_type: str, document: Mapping[str, Any]) -> list[int]:
        """Return the size of a file; of a bundle nothing is summed."""
        return [file["size"] for file in document["contents"]["files"]] if entity_type == FILES else []

    def summary(self, ask: Summaries) -> dict[str, Json]:
        """Return how many bundles and files there are, and their size, in all and by format."""
        bundles, _ = ask.counts(BUNDLES)
        by_format = ask.sums(FILES, by="fileFormat")
        return {
            "bundleCount": bundles,
            "fileCount": sum(each.n for each in by_format),
            "totalFileSize": sum(each.sums[0] for each in by_format),
            "fileTypeSummaries": [
                {"format": each.term, "count": each.n, "totalSize": each.sums[0]} for each in by_format
            ],
        }

    def words(self, document: Mapping[str, Any]) -> str:
        """Return the names of a file, the values of facets, and the texts at the paths of `words`."""
        names = (name for file in document["contents"].get("files", ()) for name in file.get("names", ()))
        values = chain.from_iterable(
            values for name, values in _metadata(document).items() if name != "incomplete"
        )
        return " ".join([*map(words_of, names), *(value for value in values if isinstance(value, str))])


def _metadata(document: Mapping[str, Any]) -> Mapping[str, Sequence[Json]]:
    # Those of several bundles are merged: there is one.
    (merged,) = document["contents"]["metadata"]
    found: Mapping[str, Sequence[Json]] = merged
    return found


def _file(inner: Mapping[str, Json]) -> dict[str, Json]:
    name, *aliases = inner["names"]
    return {
        "name": name,
        "aliases": aliases,
        "format": inner["format"],
        "contentType": inner["content_type"],
        "size": inner["size"],
        **{key: inner[key] for key in ("sha256", "uuid", "version", "drs_uri")},
    }


def _of_format(summed: Mapping[str, Json]) -> dict[str, Json]:
    return {
        "format": summed["format"],
        "contentType": summed["content_type"],
        "count": summed["count"],
        "totalSize": summed["size"],
    }
