"""What manifests are made of, in memory: the documents of files, in place of a catalogue's."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from shared.explore.bundle_metadata import BundleMetadata
from shared.explore.catalogues import Catalogue
from shared.explore.manifests.content import Checkpoint, Format, Saved
from shared.explore.manifests.selection import FileOfBundle, SelectedFile, Selection
from shared.explore.plugins import Plugin
from shared.explore.settings import CatalogueSetting
from shared.identifiers import Fqid
from tests.support.catalogue import documents_of


class Documents:
    """A selection of some documents of files; `passes` is how often they were read by bundle."""

    base_url = "https://service.lan"

    def __init__(
        self,
        plugin: Plugin,
        documents: Iterable[Mapping[str, Any]],
        bundles: Iterable[BundleMetadata] = (),
        catalogue: Catalogue | None = None,
    ) -> None:
        setting = CatalogueSetting(name="test", plugin="test")
        self.catalogue = catalogue or Catalogue(1, setting, plugin, "https://h/v1")
        self.documents = sorted(documents, key=lambda each: each["entity_id"])
        self.passes = 0
        self._bundles = {each.fqid: each for each in bundles}

    @classmethod
    def of(cls, plugin: Plugin, *bundles: BundleMetadata, catalogue: Catalogue | None = None) -> "Documents":
        """Return all files of some bundles, as a catalogue of these has them."""
        found = documents_of(plugin, *bundles)
        files = [each for (kind, _), each in found.items() if kind == "files"]
        selection = cls(plugin, files, bundles, catalogue)
        for each in selection.documents:
            each["sources"] = [selection.catalogue.source]  # type: ignore[index]
        return selection

    def files(self, after: str = "") -> Iterator[SelectedFile]:
        for each in self.documents:
            if each["entity_id"] > after:
                yield SelectedFile(each["entity_id"], each)

    def files_by_bundle(
        self, after: tuple[str, str] = ("", ""), *, documents: bool = True
    ) -> Iterator[FileOfBundle]:
        self.passes += 1
        rows = [
            (bundle["uuid"], each["entity_id"], bundle["version"], each)
            for each in self.documents
            for bundle in each["bundles"]
        ]
        for uuid, entity_id, version, document in sorted(rows, key=lambda row: row[:2]):
            if (uuid, entity_id) > after:
                file = SelectedFile(entity_id, document if documents else {})
                yield FileOfBundle(Fqid(uuid, version), file)

    def metadata(self, bundles: Iterable[Fqid]) -> Iterator[BundleMetadata]:
        return (self._bundles[each] for each in bundles if each in self._bundles)


def content_of(made: Format, selection: Selection) -> bytes:
    """Return a manifest."""
    return b"".join(each for each in made.content(selection) if isinstance(each, bytes))


def resumed_contents(made: Format, selection: Selection) -> Sequence[bytes]:
    """Return a manifest for each of its checkpoints: made up to there, and from there on by another."""
    contents = []
    before = b""
    for each in made.content(selection):
        if isinstance(each, Checkpoint):
            saved = Saved(each.state, each.memory())
            rest = made.content(selection, saved)
            contents.append(before + b"".join(more for more in rest if isinstance(more, bytes)))
        else:
            before += each
    return contents
