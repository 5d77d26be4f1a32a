"""Catalogues of the HCA's metadata for tests, and bundles that they take, refuse and leave out."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from local.demo.data import SAMPLE
from shared.explore.catalogues import Catalogue
from shared.explore.postgresql.store import PostgreSqlCatalogues
from shared.explore.settings import CatalogueSetting
from shared.explore.upkeep import Held
from shared.identifiers import Fqid
from shared.system import Dss
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_file
from tests.support.clouds import Clouds

PROJECT = json.loads((SAMPLE / "project_0.json").read_text())
# JSON files by name: of a bundle that a catalogue takes, one that it refuses, and one that is not its own.
GOOD: Mapping[str, Any] = {"project_0.json": PROJECT, "links.json": {"links": []}}
BAD: Mapping[str, Any] = {"project_0.json": PROJECT}
OTHER: Mapping[str, Any] = {"notes.json": {"about": "something else"}}


def new_setting(name: str = "", *, replica: str = "gcp") -> CatalogueSetting:
    """Return the configuration of a catalogue of few bundles: those whose UUIDs have a random prefix."""
    uuid = new_uuid()
    return CatalogueSetting(name=name or f"c{uuid[:8]}", plugin="hca", replica=replica, prefix=uuid[:8])


def setting_value(*catalogues: CatalogueSetting) -> str:
    """Return the value of DSS_CATALOGUES."""
    names = ("name", "plugin", "replica", "prefix")
    return json.dumps([{name: getattr(each, name) for name in names} for each in catalogues])


@contextmanager
def with_catalogues(dss: Dss, *catalogues: CatalogueSetting, **settings: Any) -> Iterator[Dss]:
    """Give a system with other catalogues, and other settings."""
    changed = replace(dss.settings, catalogues=catalogues, **settings)
    endpoint = "https://dss.example.org/v1"
    dsn, host = changed.postgresql_dsn, "dss.example.org"
    with closing(PostgreSqlCatalogues(dsn, catalogues, endpoint=endpoint, host=host)) as store:
        yield replace(dss, settings=changed, catalogues=store)


def put_files(
    api: Api, clouds: Clouds, setting: CatalogueSetting, files: Mapping[str, Any], *, uuid: str = ""
) -> Version:
    """Put a new version of a bundle with JSON files that a catalogue is asked to take."""
    rows = [
        put_file(
            api,
            clouds.stage(setting.replica, json.dumps(content).encode(), content_type="application/json"),
        ).named(name, indexed=True)
        for name, content in files.items()
    ]
    bundle = Version(uuid or f"{setting.prefix}{new_uuid()[len(setting.prefix) :]}", now())
    return put_bundle(api, setting.replica, rows, bundle=bundle)


def fqid_of(bundle: Version) -> Fqid:
    """Return the name of a bundle version."""
    return Fqid(bundle.uuid, bundle.version)


@dataclass(frozen=True)
class Shelf:
    """What a catalogue holds, as its tests look at it."""

    dss: Dss
    name: str

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue."""
        return self.dss.catalogues.catalogues()[self.name]

    def held(self) -> dict[str, Held]:
        """Return what it holds, by FQID."""
        return {str(one.fqid): one for one in self.dss.catalogues.upkeep.held(self.catalogue)}

    def states(self) -> dict[str, str]:
        """Return the states of the bundle versions that it knows, by FQID."""
        return {name: one.state for name, one in self.held().items()}
