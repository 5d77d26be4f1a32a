"""Outlive the process that started this one, and kill everything that it started.

Run as a script, with nothing but the standard library: `reaper.py MARK DIRECTORY`. Standard input is a pipe
whose other end only the supervisor holds. When it closes, however the supervisor ended, SIGKILL included, the
reaper kills every process that has MARK in its environment, and removes DIRECTORY.

Nothing slips through: a child between fork and exec still holds the pipe open, and after exec its
environment, which its own children inherit, shows MARK.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path

MARK_NAME = "DSS_LOCAL_STACK"
# Seconds. A process that survives SIGKILL for longer hangs in the kernel: waiting helps nobody.
KILL_SECONDS = 3.0
# Seconds. A disk that is busy, and thousands of files, take a while.
REMOVE_SECONDS = 30.0


def marked(mark: str) -> list[int]:
    """Return the ids of the living processes that were started with `mark` in their environment."""
    entry_of_mark = f"{MARK_NAME}={mark}".encode()
    pids = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # ended meanwhile, or another user's
            if entry_of_mark in (entry / "environ").read_bytes().split(b"\0"):
                pids.append(int(entry.name))
    return pids


def kill_all(mark: str) -> None:
    """Kill until no process with `mark` is left, for KILL_SECONDS at most."""
    deadline = time.monotonic() + KILL_SECONDS
    while (pids := marked(mark)) and time.monotonic() < deadline:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def remove(directory: str) -> None:
    """Remove a directory with all that is in it, for REMOVE_SECONDS at most.

    A process that was killed in the middle of a system call can still create a file after its directory was
    listed, and then the directory is not empty.
    """
    deadline = time.monotonic() + REMOVE_SECONDS
    while Path(directory).exists() and time.monotonic() < deadline:
        shutil.rmtree(directory, ignore_errors=True)
        time.sleep(0.01)


def main(mark: str, directory: str) -> None:
    """Wait for the end of standard input, then kill and remove everything."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.write(1, b"watching\n")
    while os.read(0, 1024):
        pass
    kill_all(mark)
    remove(directory)


if __name__ == "__main__":
    main(*sys.argv[1:])
