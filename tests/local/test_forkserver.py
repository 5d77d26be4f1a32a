"""A forked program runs as by `python -m`, and ends with its parent like a started one."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local.supervisor import forkserver
from local.supervisor.processes import Processes

# Prints its own state; with the argument `wait` it starts a grandchild and waits, otherwise it ends.
PROGRAM = """
import json, os, subprocess, sys, time
import run.api.app
own = {"arguments": sys.argv[1:], "environment": dict(os.environ), "directory": os.getcwd()}
own["pid"] = os.getpid()
if sys.argv[1] == "wait":
    own["grandchild"] = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid
print(json.dumps(own), flush=True)
if sys.argv[1] == "wait":
    time.sleep(600)
sys.exit(3)
"""
PARENT = """
import sys, time
from pathlib import Path
from local.supervisor import forkserver
from local.supervisor.processes import Processes
if __name__ == "__main__":
    directory = Path(sys.argv[1])
    command = [sys.executable, "-m", "program", "wait"]
    environment = {"PYTHONPATH": sys.argv[1]}
    forkserver.start(Processes(), "it", command, environment, log=directory / "log", directory=directory)
    time.sleep(600)
"""

# Starts a child by each of the two ways while it ignores SIGINT, and prints what they do at SIGINT.
NESTED = """
import signal, sys
from pathlib import Path
from local.config import base_environment
from local.supervisor import forkserver
from local.supervisor.processes import Processes
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    directory = Path(sys.argv[1])
    (directory / "child.py").write_text("import signal; print(signal.getsignal(signal.SIGINT).__name__)")
    command = (sys.executable, "-m", "child")
    environment = {**base_environment({}), "PYTHONPATH": str(directory)}
    with Processes() as processes:
        for start in (Processes.start, forkserver.start):
            log = directory / start.__module__
            child = start(processes, "child", command, environment, log=log, directory=directory)
            assert child.wait(120)
            print(log.read_text().strip(), flush=True)
"""


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """Return a directory with the program, which is searched for modules."""
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "parent.py").write_text(PARENT)
    (tmp_path / "nested.py").write_text(NESTED)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def printed(directory):
    """Wait for what the program prints, and return it."""
    log, deadline = directory / "log", time.monotonic() + 120
    while not (log.exists() and log.read_text().endswith("}\n")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return json.loads(log.read_text().splitlines()[0])


def start(processes, directory, *arguments):
    """Fork the program."""
    command = [sys.executable, "-m", "program", *arguments]
    return forkserver.start(processes, "it", command, {"A": "b"}, log=directory / "log", directory=directory)


def test_it_has_its_own_arguments_environment_directory_log_and_exit_code(directory, monkeypatch):
    monkeypatch.setenv("DSS_GS_BUCKET", "of who starts it")
    with Processes() as processes:
        child = start(processes, directory, "end", "x y")
        assert child.wait(60)
        own = printed(directory)
        assert (own["arguments"], own["directory"], own["pid"]) == (["end", "x y"], str(directory), child.pid)
        assert own["environment"].pop("DSS_LOCAL_STACK") == processes.mark
        assert Path(own["environment"].pop("TMPDIR")).parent == processes.scratch
        assert own["environment"] == {"A": "b"}
        assert child.exit_code == 3
        assert processes.ended() == [child]


def test_ending_it_ends_all_of_its_session(directory, assert_gone):
    with Processes() as processes:
        child = start(processes, directory, "wait")
        grandchild = printed(directory)["grandchild"]
        assert os.getpgid(grandchild) == child.pid
        processes.end(child, number=9)
        assert child.exit_code == -9
        assert_gone(child.pid, grandchild)


def test_a_parent_that_is_killed_leaves_neither_children_nor_grandchildren(directory, assert_gone):
    with subprocess.Popen([sys.executable, str(directory / "parent.py"), str(directory)]) as parent:
        own = printed(directory)
        parent.kill()
    assert_gone(own["pid"], own["grandchild"])


def test_another_program_is_started_too(directory):
    with Processes() as processes:
        log = directory / "log"
        child = forkserver.start(
            processes, "it", ["echo", "a"], dict(os.environ), log=log, directory=directory
        )
        assert child.wait(60)
        assert (child.exit_code, log.read_text()) == (0, "a\n")
        with pytest.raises(FileNotFoundError, match="it: no program"):
            forkserver.start(processes, "it", ["no-such-program"], {}, log=log, directory=directory)


def test_children_do_not_inherit_that_sigint_is_ignored(directory):
    """`make test &` in a script ignores SIGINT, and every child inherits what is ignored."""
    command = [sys.executable, str(directory / "nested.py"), str(directory)]
    output = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)

    assert output.stdout.splitlines() == ["default_int_handler"] * 2, output.stderr
