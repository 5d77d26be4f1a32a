"""README and docs say what is true: their blocks run, and what they name exists."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dss.commands.main import cli
from local import envfile
from local.demo.program import STEPS
from run.api.errors import status_of
from shared import errors
from tests.benchmarks.__main__ import PARTS

ROOT = Path(__file__).parents[1]
PAGES = (
    *("README.md", "docs/architecture.md", "docs/api.md", "docs/access.md", "docs/development.md"),
    *("docs/operations.md", "docs/explore-operations.md", "docs/explore-plugins.md", "docs/metrics.md"),
    *("docs/tutorial.md", "docs/pictures.md", "CONTRIBUTING.md", "SECURITY.md", "docs/how-to-add.md"),
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs" / "runbooks").glob("*.md")),
)
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What looks like a path, and is a URL's, an object's, a metric's, or made by a run.
_NOT_FILES = re.compile(
    r"/|object-events|(blobs|files|bundles|logs|application|copy|content|walk|roles)/|\.dss/|\.venv"
    r"|counts/\.zarray|a//b|path\.json/|[a-z]+\.googleapis\.com/|dss(-STAGE)?/"
)


def text_of(page: str) -> str:
    return (ROOT / page).read_text()


def section(text: str, title: str) -> str:
    """Return the section of a page under a title, with those below it."""
    [head] = re.findall(rf"^(#+) {re.escape(title)}$", text, re.MULTILINE)
    body = text.split(f"{head} {title}\n")[1]
    return re.split(rf"^#{{1,{len(head)}}} ", body, flags=re.MULTILINE)[0]


def script_of(text: str) -> str:
    """Return the blocks of a text, in order, as one script of bash."""
    parts = ["set -euo pipefail"]
    for language, block in _BLOCK.findall(text):
        if language == "sh":
            parts.append(block)
        elif language == "python":
            parts.append(f"python - <<'END_OF_BLOCK'\n{block}END_OF_BLOCK")
    return "\n".join(parts)


@pytest.fixture
def run_blocks(request, tmp_path):
    """Return what runs a text's blocks as somebody in a checkout does, whose system runs.

    It is the whole one for a test that asks for that.
    """
    running = "whole_system" if "whole_system" in request.fixturenames else "stack"
    envfile.write(tmp_path / ".dss" / "env", request.getfixturevalue(running))
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "local").symlink_to(ROOT / "local")
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("DSS_", "AWS_")) and not name.endswith("_EMULATOR_HOST")
    }

    def run(text):
        done = subprocess.run(
            ["bash", "-c", script_of(text)],
            cwd=tmp_path,
            env={**clean, "XDG_CACHE_HOME": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            timeout=480,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.mark.usefixtures("whole_system")
def test_what_the_readme_shows_by_command_rest_and_notebook_works(run_blocks, tmp_path):
    output = run_blocks(section(text_of("README.md"), "Use it"))

    sample = {path.name: path.read_bytes() for path in (ROOT / "local/sample").iterdir()}
    copies = {path.name: path.read_bytes() for path in (tmp_path / "copy").iterdir()}
    assert copies == sample
    assert len(list((tmp_path / "notebook-copy").iterdir())) == len(list(tmp_path.glob("copy/*.json")))
    assert (tmp_path / "content").read_bytes() == sample[max(sample)]
    assert "x-dss-sha256" in output.lower()
    assert "401" in output.splitlines()


@pytest.mark.usefixtures("whole_system")
def test_the_tutorial_leads_to_data_that_are_found_in_both_clouds(run_blocks, tmp_path):
    output = run_blocks(text_of("docs/tutorial.md"))

    sample = {path.name: path.read_bytes() for path in (ROOT / "local/sample").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "tutorial-copy").iterdir()} == sample
    assert "the same" in output.splitlines()
    assert "note.txt" in output


@pytest.mark.usefixtures("whole_system")
def test_the_walkthrough_of_the_api_works(run_blocks):
    output = run_blocks(text_of("docs/api.md"))

    for answer in ('"manifest"', "4200", "renamed.json", "not_found", "illegal_arguments", "SUCCEEDED"):
        assert answer in output


def test_an_operator_of_one_machine_has_settings_that_suffice(run_blocks):
    output = run_blocks(text_of("docs/operations.md"))

    assert [line.split()[0] for line in output.splitlines()] == ["replica", "gcp", "aws"]


def test_a_block_that_fails_fails_the_test(run_blocks):
    with pytest.raises(AssertionError):
        run_blocks("```sh\nfalse\ntrue\n```\n")
    with pytest.raises(AssertionError):
        run_blocks("```python\nraise SystemExit(1)\n```\n")


def test_the_readme_shows_the_demo_as_it_is():
    shown = re.findall(r"^ *\d+  (.*?) +\d+\.\d s", text_of("README.md"), re.MULTILINE)

    assert shown == ["start the system", *(step.title for step in STEPS), "stop the system"]


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_is_named_exists(page):
    prose = _BLOCK.sub("", text_of(page))
    named = {word for word in re.findall(r"`([\w.-]*/[\w./-]*)`", prose) if not _NOT_FILES.match(word)}
    linked = {str(Path(page).parent / link) for link in re.findall(r"\]\(([^)#:]+)\)", prose)}

    assert [name for name in sorted(named | linked) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_is_named_exists(page):
    text = text_of(page)
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    made = set(re.findall(r"(?:^|`)make (?:[A-Z]+=\S+ )*([a-z-]+)", text, re.MULTILINE))
    called = set(re.findall(r"(?:^|[`(/])dss ([a-z]+(?:-[a-z]+)*)\b", text, re.MULTILINE))

    assert made - targets == set()
    assert called - set(cli.list_commands(None)) == set()


def test_the_table_of_errors_is_that_of_the_api():
    table = section(text_of("docs/architecture.md"), "Errors")
    rows = re.findall(r"^\| (`.*?) \| (\d{3})", table, re.MULTILINE)
    documented = {name: int(status) for names, status in rows for name in re.findall(r"`(\w+)`", names)}

    assert len(documented) >= 12
    assert {name: status_of(getattr(errors, name)("")) for name in documented} == documented


def test_every_term_of_the_glossary_is_used():
    terms = re.findall(r"^\| ([^|]+?) \|", text_of("docs/glossary.md"), re.MULTILINE)[2:]
    pages = [ROOT / page for page in PAGES]
    modules = [path for folder in ("shared", "run", "functions") for path in (ROOT / folder).rglob("*.py")]
    text = " ".join(path.read_text() for path in (*pages, *modules)).lower()

    assert len(terms) >= 30
    assert terms == sorted(terms, key=str.lower)
    assert [term for term in terms if not re.search(rf"\b{term.lower()}", text)] == []


def test_each_part_of_the_benchmarks_has_its_report_and_its_row():
    reports = ROOT / "docs" / "benchmarks"
    row = r"^\| \[([\w-]+)\]\(([\w-]+)\.md\) \|"
    rows = re.findall(row, (reports / "README.md").read_text(), re.MULTILINE)

    assert [name for name, _ in rows] == [file for _, file in rows] == list(PARTS)
    for name in PARTS:
        assert (reports / f"{name}.md").read_text().startswith(f"# Benchmarks: {name}\n")
