"""`terraform test`: the files beside the configuration pass, and each of their checks can fail."""

import json
import re
from pathlib import Path

import pytest

from tests.support.terraform_cli import ROOT, Workspace

TERRAFORM = ROOT / "terraform"
FILES = {path.parents[1].relative_to(TERRAFORM): path for path in TERRAFORM.rglob("tests/*.tftest.hcl")}
# A condition, up to the line of its message.
CONDITION = re.compile(r"(    condition +=)(.*?)(\n    error_message)", re.DOTALL)


def test_each_module_that_is_applied_has_such_a_file() -> None:
    assert set(FILES) == {Path(), Path("bootstrap")}


@pytest.mark.parametrize("module", ["", "bootstrap"])
def test_every_run_passes_and_every_check_can_fail(
    module: str, tmp_path: Path, provider: dict[str, str]
) -> None:
    workspace = Workspace(tmp_path / "copy", provider, module)
    workspace.initialize()
    file = workspace.directory / "tests" / FILES[Path(module)].name
    text = file.read_text()

    assert outcome(workspace, file) == (dict.fromkeys(named(text), "pass"), 0)
    # Each condition turned round.
    file.write_text(CONDITION.sub(r"\1 !(\2)\3", text))
    runs, failures = outcome(workspace, file)
    assert failures == len(CONDITION.findall(text)) > 3
    assert "fail" in runs.values()


def named(text: str) -> list[str]:
    return re.findall(r'^run "(\w+)"', text, re.MULTILINE)


def outcome(workspace: Workspace, file: Path) -> tuple[dict[str, str], int]:
    """Run one file; return how each of its runs ended, and how many checks have failed."""
    done = workspace.run("test", "-json", f"-filter=tests/{file.name}")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    runs = [row["test_run"] for row in rows if row["type"] == "test_run"]
    failed = [row for row in rows if row["type"] == "diagnostic"]
    return {row["run"]: row["status"] for row in runs if row.get("progress") == "complete"}, len(failed)
