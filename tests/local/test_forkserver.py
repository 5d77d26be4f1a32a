"""A forked program is what `python -m` would make of it, and outlives nobody any more than a started one."""

import json
import os
import subprocess
import sys
import time

import pytest

from local.forkserver import start_forked
from local.processes import Processes
from tests.support.waiting import deadline_after

# Says all that it has of its own; then, or so it is told, starts a grandchild and waits, or ends.
PROGRAM = """
import json, os, subprocess, sys, time
import run.api.app
own = {"arguments": sys.argv[1:], "environment": dict(os.environ), "directory": os.getcwd()}
own["pid"] = os.getpid()
if sys.argv[1] == "wait":
    own["grandchild"] = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid
print(json.dumps(own), flush=True)
if sys.argv[1] == "wait":
    time.sleep(60)
sys.exit(3)
"""
PARENT = """
import sys, time
from pathlib import Path
from local.forkserver import start_forked
from local.processes import Processes
if __name__ == "__main__":
    directory = Path(sys.argv[1])
    command = [sys.executable, "-m", "program", "wait"]
    environment = {"PYTHONPATH": sys.argv[1]}
    start_forked(Processes(), "it", command, environment, log=directory / "log", directory=directory)
    time.sleep(60)
"""


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """Return a directory that has the program, and is searched for modules."""
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "parent.py").write_text(PARENT)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def said(directory):
    """Return what the program has said, once it has."""
    log, deadline = directory / "log", deadline_after(30)
    while not (log.exists() and log.read_text().endswith("}\n")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return json.loads(log.read_text().splitlines()[0])


def start(processes, directory, *arguments):
    """Fork the program."""
    command = [sys.executable, "-m", "program", *arguments]
    return start_forked(processes, "it", command, {"A": "b"}, log=directory / "log", directory=directory)


def test_it_has_its_own_arguments_environment_directory_log_and_exit_code(directory, monkeypatch):
    monkeypatch.setenv("DSS_GS_BUCKET", "of who starts it")
    with Processes() as processes:
        child = start(processes, directory, "end", "x y")
        assert child.wait(30)
        own = said(directory)
        assert (own["arguments"], own["directory"], own["pid"]) == (["end", "x y"], str(directory), child.pid)
        assert own["environment"].pop("DSS_LOCAL_STACK") == processes.mark
        assert own["environment"] == {"A": "b"}
        assert child.exit_code == 3
        assert processes.ended() == [child]


def test_ending_it_ends_all_of_its_session(directory, assert_gone):
    with Processes() as processes:
        child = start(processes, directory, "wait")
        grandchild = said(directory)["grandchild"]
        assert os.getpgid(grandchild) == child.pid
        processes.end(child, number=9)
        assert child.exit_code == -9
        assert_gone(child.pid, grandchild)


def test_a_parent_that_is_killed_leaves_neither_children_nor_grandchildren(directory, assert_gone):
    with subprocess.Popen([sys.executable, str(directory / "parent.py"), str(directory)]) as parent:
        own = said(directory)
        parent.kill()
    assert_gone(own["pid"], own["grandchild"])


def test_only_a_module_can_be_forked(directory):
    with Processes() as processes, pytest.raises(ValueError, match="not a command of a Python module"):
        start_forked(processes, "it", ["true"], {}, log=directory / "log", directory=directory)
