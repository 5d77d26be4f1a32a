"""Plug-ins of other distributions: the one in docs/explore-plugins.md is installed, and asked."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.source_tree import ROOT
from run.explore.pages import hit_form
from shared.explore.bundle_metadata import UnusableMetadata
from shared.explore.plugins import open_plugin
from shared.explore.settings import parse_catalogues
from tests.shared.explore.test_generic import bundle_of
from tests.support.catalogue import ANYBODY, open_catalogue
from tests.support.hca_sample import id_of
from tests.support.postgresql_server import StoppableServer

PAGE = (ROOT / "docs/explore-plugins.md").read_text()


def block(language: str) -> str:
    """Return the one block of the page in a language."""
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Install the example of the page, as pip does, in a directory of its own."""
    (tmp_path / "recordings.py").write_text(block("python"))
    info = tmp_path / "recordings-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: recordings\nVersion: 1.0\n")
    [name] = re.findall(r'entry-points\."(.+)"', block("toml"))
    [value] = re.findall(r'^recordings = "(.+)"', block("toml"), re.MULTILINE)
    (info / "entry_points.txt").write_text(f"[{name}]\nrecordings = {value}\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("recordings", None)


def session(animal: str, task: str, species: str = "mouse") -> dict[str, Any]:
    return {"session.json": {"animal": {"id": id_of(animal), "species": species}, "task": task}}


@pytest.mark.usefixtures("installed")
def test_the_plug_in_of_another_distribution_makes_a_catalogue(postgresql: StoppableServer) -> None:
    with open_catalogue(postgresql.dsn, plugin="recordings", laboratory="mine") as catalogue:
        catalogue.put(bundle_of("one", session("mickey", "maze"), "video"))
        catalogue.put(bundle_of("two", session("mickey", "sleep")))
        catalogue.put(bundle_of("three", session("nemo", "swim", "fish")))

        assert catalogue.ids("animals", {"task": {"is": ["sleep"]}}) == [id_of("mickey")]
        assert catalogue.ids("sessions", {"species": {"is": ["mouse"]}}) == sorted(
            [id_of("one"), id_of("two")]
        )
        assert catalogue.ids("sessions", {"totalSize": {"within": [[15, 25]]}}) == [id_of("one")]
        found = catalogue.store.one(catalogue.catalogue, ANYBODY, catalogue.query("animals"), id_of("mickey"))
        assert found
        mickey = hit_form(catalogue.catalogue, "animals", found, "https://dss.example")
        assert mickey["animals"][0]["accessible"]
        assert mickey["data"] == [{"count": 2, "size": 20}]
        assert mickey["sessions"][0]["task"] == ["maze", "sleep"]
        assert catalogue.summary() == {"sessionCount": 3, "speciesCount": 2, "totalFileSize": 40}


@pytest.mark.usefixtures("installed")
def test_it_refuses_bundles_and_options_as_others_do() -> None:
    plugin = open_plugin("recordings", host="h")

    assert not plugin.accepts(bundle_of("b", {"other.json": {}}))
    with pytest.raises(UnusableMetadata, match=r"session\.json: animal: must be"):
        plugin.contributions(bundle_of("b", {"session.json": {"animal": None}}))
    with pytest.raises(ValueError, match="its options are: laboratory"):
        open_plugin("recordings", host="h", colour="red")
    with pytest.raises(ValueError, match="use one of generic, hca, recordings"):
        open_plugin("record", host="h")


def test_the_configurations_that_the_page_shows_are_usable() -> None:
    configuration, _, options = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

    for each in parse_catalogues("DSS_CATALOGUES", json.loads(configuration)):
        open_plugin(each.plugin, host="h", **each.options)
    fields = open_plugin("generic", host="h", **json.loads(options)).fields
    assert [each.name for each in fields][-3:] == ["organism", "age", "taken"]
    described = PAGE.partition("Fields: ")[2].partition("The summary")[0]
    assert all(f"`{each.name}`" in described for each in fields[:-3])
