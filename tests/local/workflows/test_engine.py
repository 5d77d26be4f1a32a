"""The engine patches one release of workflows-emulator, and refuses every other one."""

import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from workflows_emulator import main as emulator

from workflows_server import engine
from workflows_server.engine import EMULATOR_VERSION, EmulatorChanged, patch_emulator, replacements
from workflows_server.options import Options

PACKAGE = Path(__file__).parents[3] / "local" / "workflows"


def test_the_patched_release_is_the_one_that_is_pinned_and_installed():
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]

    assert f"workflows-emulator=={EMULATOR_VERSION}" in project["dependencies"]
    assert version("workflows-emulator") == EMULATOR_VERSION


def test_every_replaced_name_exists_in_the_emulator():
    gone = [
        f"{module.__name__}.{name}" for module, name, _ in replacements(Options()) if name not in vars(module)
    ]

    assert gone == [], f"workflows-emulator {version('workflows-emulator')} has no {', '.join(gone)}"
    assert len(replacements(Options())) == 8


def test_another_release_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(engine, "version", lambda _: "1.11.0")

    with pytest.raises(EmulatorChanged, match=r"workflows-emulator is 1\.11\.0; install 1\.10\.0"):
        patch_emulator(Options())


def test_a_name_that_is_gone_is_named(monkeypatch):
    for module, name, _ in replacements(Options()):
        monkeypatch.setattr(module, name, getattr(module, name))
    monkeypatch.delattr(emulator, "StepRetry")

    with pytest.raises(EmulatorChanged, match=r"has no workflows_emulator\.main\.StepRetry"):
        patch_emulator(Options())
