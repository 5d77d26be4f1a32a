"""Children never outlive their parent, however it ends; a reserved port goes to its component only."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from local.errors import PortInUse
from local.supervisor.ports import HOST, Ports, reserve
from local.supervisor.processes import Processes
from tests.support.waiting import wait_until

# Starts a grandchild in a session of its own, prints its id, and ignores SIGTERM.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""

PARENT = """
import os, sys, time
from local.supervisor.processes import Processes
processes = Processes()
log = processes.scratch / "log"
process = processes.start("it", [sys.executable, "-c", sys.argv[1]], os.environ, log=log, directory="/")
while not log.read_text().strip():
    time.sleep(0.01)
print(process.pid, log.read_text().strip(), processes.scratch, flush=True)
time.sleep(600)
"""


def first_line(log: Path) -> str:
    """Wait for the first line of a log, and return it."""
    wait_until(lambda: log.exists() and log.read_text().endswith("\n"), f"{log} has a line")
    return log.read_text().splitlines()[0]


def test_leaving_ends_the_stubborn_and_their_children_and_removes_the_scratch_directory(assert_gone):
    with Processes() as processes:
        command, log = [sys.executable, "-c", STUBBORN], processes.scratch / "log"
        child = processes.start("it", command, os.environ, log=log, directory=processes.scratch)
        grandchild = int(first_line(log))
        processes.end(
            processes.start("other", command, os.environ, log=log, directory=processes.scratch), number=9
        )
        os.kill(child.pid, 0)
        os.kill(grandchild, 0)
    assert_gone(child.pid, grandchild)
    assert not processes.scratch.exists()


def test_a_parent_that_is_killed_leaves_neither_children_nor_grandchildren(assert_gone):
    command = [sys.executable, "-c", PARENT, STUBBORN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        child, grandchild, scratch = parent.stdout.readline().split()
        assert Path(scratch).is_dir()
        parent.kill()
    assert_gone(int(child), int(grandchild))
    wait_until(lambda: not Path(scratch).exists(), f"{scratch} is gone")


def test_a_child_that_ended_is_known_with_its_log(tmp_path):
    with Processes() as processes:
        command = [sys.executable, "-c", "print('so it goes'); raise SystemExit(3)"]
        child = processes.start("it", command, os.environ, log=tmp_path / "log", directory=tmp_path)
        other = processes.start("other", ["sleep", "600"], os.environ, log=tmp_path / "l", directory=tmp_path)
        assert child.wait(60)
        assert processes.ended() == [child]
        assert child.exit_code == 3
        assert child.log_tail() == "so it goes"
        assert other.exit_code is None
        assert other.living() == [other.pid]
        processes.end(child)
        assert processes.ended() == []


def test_a_reserved_port_is_given_only_to_a_server_that_asks_for_it():
    ports = Ports()
    port = ports.of("server")
    assert ports.of("server") == port
    assert ports.of("other") != port
    with socket.create_server((HOST, port)), pytest.raises(PortInUse, match=str(port)):
        reserve(port)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port), timeout=60)
    ports.release()
