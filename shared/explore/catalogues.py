"""Catalogues: complete, independent views of a replica's bundles, each made by one plug-in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from uuid import UUID, uuid5

from shared.explore.fields import Field
from shared.explore.plugins import Plugin
from shared.explore.settings import CatalogueSetting

# The namespace of the ids of sources. It must never change.
_SOURCES = UUID("6e0a6c1e-58a4-5c3b-9a0f-4f5c2d1b7e90")


@dataclass(frozen=True)
class Catalogue:
    """A catalogue that is written and asked: its number in the tables, its configuration and its plug-in."""

    number: int
    setting: CatalogueSetting
    plugin: Plugin = field(repr=False)
    endpoint: str = ""

    @property
    def name(self) -> str:
        """Its name in the API."""
        return self.setting.name

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """The fields that users know, by name."""
        return {each.name: each for each in self.plugin.fields if not each.is_hidden}

    @cached_property
    def source(self) -> Mapping[str, str]:
        """Where its bundles are from: an id, and the predecessor's form of the endpoint and the prefix."""
        return {
            "id": str(uuid5(_SOURCES, self.endpoint)),
            "spec": f"{self.endpoint}:/{self.setting.prefix}",
        }
