"""Catalogues: complete, independent views of a replica's bundles, each made by one plug-in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from uuid import UUID, uuid5

from shared.errors import MadeOtherwise
from shared.explore.fields import Field
from shared.explore.plugins import EntityType, Plugin
from shared.explore.settings import CatalogueSetting

# The namespace of the ids of sources. It must never change.
_SOURCES = UUID("6e0a6c1e-58a4-5c3b-9a0f-4f5c2d1b7e90")


@dataclass(frozen=True)
class Catalogue:
    """A catalogue that is written and asked: its number in the tables, its configuration and its plug-in.

    `differs` are the parts of its configuration that are not as it was made with.
    """

    number: int
    setting: CatalogueSetting
    plugin: Plugin = field(repr=False)
    endpoint: str = ""
    differs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name in the API."""
        return self.setting.name

    @property
    def refusal(self) -> str:
        """Why it can't be written; empty if it can."""
        if not self.differs:
            return ""
        return (
            f"catalogue {self.name}: its {', '.join(self.differs)} can't be changed; undo that, and make"
            " a new catalogue beside it"
        )

    def require_as_made(self) -> None:
        """Raise MadeOtherwise if its counts can't be changed by its present configuration."""
        if self.refusal:
            raise MadeOtherwise(self.refusal)

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """The fields that users know, by name."""
        return {each.name: each for each in self.plugin.fields if not each.is_hidden}

    @cached_property
    def listed(self) -> Mapping[str, EntityType]:
        """The types of entities that people list, by name."""
        return {name: each for name, each in self.plugin.entity_types.items() if each.is_listed}

    @cached_property
    def source(self) -> Mapping[str, str]:
        """Where its bundles are from: an id, and the predecessor's form of the endpoint and the prefix."""
        return {
            "id": str(uuid5(_SOURCES, self.endpoint)),
            "spec": f"{self.endpoint}:/{self.setting.prefix}",
        }
