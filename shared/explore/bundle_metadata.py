"""What a plug-in gets of a bundle, and how it refuses one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.identifiers import Fqid

Json = Any
Contents = dict[str, list[dict[str, Json]]]


class UnusableMetadata(Exception):
    """A bundle's metadata can't be indexed; names the file, the field, and what is wrong with it."""

    def __init__(self, file: str, field: str, why: str) -> None:
        super().__init__(f"{file}: {field}: {why}" if field else f"{file}: {why}")
        self.file = file


@dataclass(frozen=True)
class BundleMetadata:
    """A bundle version: the entries of all its files, and the content of its JSON files by name.

    `left_out` are the names of those that should be indexed but whose content can't be had, with the reason.
    """

    fqid: Fqid
    files: Sequence[Mapping[str, Json]]
    documents: Mapping[str, Json]
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def indexed(self) -> Mapping[str, Json]:
        """The content of the JSON files that their writer said to index: those that describe other files."""
        data = {entry["name"] for entry in self.files if not entry["indexed"]}
        return {name: content for name, content in self.documents.items() if name not in data}


@dataclass(frozen=True)
class Contribution:
    """What one bundle version says of one entity: lists of inner entities, by their type."""

    entity_type: str
    entity_id: str
    contents: Contents = field(repr=False)
