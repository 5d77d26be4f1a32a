"""Outlives the process that started it, and leaves nothing of what that process had started.

Run as a script, with nothing but the standard library: `reaper.py MARK DIRECTORY`. Standard input is a pipe
whose other end only the guarded process holds. When it closes, however that process ended, SIGKILL included,
every process that has MARK in its environment is killed, and DIRECTORY is removed.

Nothing can slip through: a child that is between fork and exec still holds the pipe open, and after exec its
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
# A process that SIGKILL doesn't end within this time (seconds) hangs in the kernel: waiting helps nobody.
PATIENCE = 3.0


def marked(mark: str) -> list[int]:
    """Return the ids of the living processes that have `mark` in the environment they were started with."""
    wanted = f"{MARK_NAME}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # ended meanwhile, or another user's
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def kill_all(mark: str) -> None:
    """Kill until no process with `mark` is left, for PATIENCE seconds at most."""
    deadline = time.monotonic() + PATIENCE
    while (pids := marked(mark)) and time.monotonic() < deadline:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def main(mark: str, directory: str) -> None:
    """Wait for the end of standard input, then leave nothing."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.write(1, b"watching\n")
    while os.read(0, 1024):
        pass
    kill_all(mark)
    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
