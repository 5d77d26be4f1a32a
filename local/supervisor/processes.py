"""Child processes that never outlive their parent, nor leave children behind. Linux only (/proc)."""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from local.errors import LocalError
from local.supervisor import reaper

# Seconds between a signal to end and SIGKILL.
GRACE = 3.0
# Seconds between two checks of a condition.
POLL = 0.02


class Child(Protocol):
    """The part of `subprocess.Popen` that is needed of a child."""

    @property
    def pid(self) -> int:
        """The id of the process."""
        ...

    def poll(self) -> int | None:
        """Return the exit code, or None while the process lives."""
        ...

    def wait(self, timeout: float) -> int:
        """Return the exit code. Raises subprocess.TimeoutExpired after `timeout` seconds."""
        ...


def with_default_signals(command: Sequence[str]) -> list[str]:
    """Return the command that starts `command` with the default action for every signal.

    A shell starts a background job with SIGINT ignored, and children inherit what is ignored.
    """
    return ["/usr/bin/env", "--default-signal", "--", *command]


class Process:
    """A child in a session of its own, with its output in a file and `mark` in its environment."""

    def __init__(self, name: str, log: Path, popen: Child, mark: str) -> None:
        self.name = name
        self.log = log
        self.pid = popen.pid
        self._popen = popen
        self._mark = mark

    @property
    def exit_code(self) -> int | None:
        """None while the process lives; else its exit code, negative if a signal ended it."""
        return self._popen.poll()

    def signal(self, number: int) -> None:
        """Send a signal to the process, SIGKILL to its whole session; do nothing if it has ended."""
        if self._popen.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)

    def living(self) -> list[int]:
        """Return the ids of the living processes of its session, its own included."""
        members = []
        for pid in reaper.marked(self._mark):
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(pid) == self.pid:
                    members.append(pid)
        return members

    def wait(self, seconds: float) -> bool:
        """Wait for the end, and return whether it came within `seconds`."""
        try:
            self._popen.wait(max(seconds, 0.0))
        except subprocess.TimeoutExpired:
            return False
        return True

    def log_tail(self, lines: int = 60) -> str:
        """Return the last lines of the log."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""


class Processes:
    """Start processes, and guarantee their end: on leaving, and when this process dies, even by SIGKILL.

    `scratch` is a temporary directory, removed after the last process has ended. The processes put their
    temporary files into it too: a process that is killed can't remove its own.
    """

    def __init__(self) -> None:
        self.mark = secrets.token_hex(16)
        self._children: list[Process] = []
        # Made only after the reaper runs, which removes it.
        self.scratch = Path(tempfile.gettempdir()) / f"dss-local-{secrets.token_hex(8)}"
        self._reaper = self._start_reaper()
        self.scratch.mkdir(mode=0o700)
        (self.scratch / "tmp").mkdir()

    @property
    def environment(self) -> dict[str, str]:
        """The variables that every process of this supervisor has: its mark and where temporary files go."""
        return {reaper.MARK_NAME: self.mark, "TMPDIR": str(self.scratch / "tmp")}

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start_reaper(self) -> subprocess.Popen[bytes]:
        # Its environment is empty: the mark of an outer stack would get it killed too early.
        keep = ("LD_LIBRARY_PATH",)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", reaper.__file__, self.mark, str(self.scratch)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in keep if name in os.environ},
            cwd="/",
            start_new_session=True,
        )
        assert process.stdout
        if process.stdout.readline() != b"watching\n":
            raise LocalError("The reaper, which ends all other processes, did not start.")
        return process

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], *, log: Path, directory: Path
    ) -> Process:
        """Start a command in a session of its own (Ctrl-C reaches only us), and append its output to `log`.

        Its signals have their default actions. Raises FileNotFoundError if there is no such program.
        """
        if not shutil.which(command[0], path=environment.get("PATH")):
            raise FileNotFoundError(f"{name}: no program {command[0]}")
        with log.open("ab") as output:
            popen = subprocess.Popen(
                with_default_signals(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**environment, **self.environment},
                cwd=directory,
                start_new_session=True,
            )
        return self.adopt(Process(name, log, popen, self.mark))

    def adopt(self, process: Process) -> Process:
        """Supervise a process that was started elsewhere, and return it."""
        self._children.append(process)
        return process

    def ended(self) -> list[Process]:
        """Return the processes that have ended, in the order of their start."""
        return [child for child in self._children if child.exit_code is not None]

    def end(self, process: Process, *, number: int = signal.SIGTERM) -> None:
        """End a process and its session by a signal, after GRACE by SIGKILL; then forget it."""
        self._end_all([process], number)
        self._children.remove(process)

    def close(self) -> None:
        """Kill all processes; the reaper then kills and removes the rest. Safe to call twice.

        No process gets time to end: their state ends with them, and a polite end takes seconds.
        """
        self._end_all(self._children, signal.SIGKILL)
        self._children.clear()
        assert self._reaper.stdin
        assert self._reaper.stdout
        with contextlib.suppress(BrokenPipeError):
            self._reaper.stdin.close()
        self._reaper.stdout.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._reaper.wait(reaper.KILL_SECONDS)

    def _end_all(self, children: Sequence[Process], number: int) -> None:
        members = _sessions(children)
        for child in children:
            child.signal(number)
        deadline = time.monotonic() + GRACE
        for child in children:
            if not child.wait(deadline - time.monotonic()):
                child.signal(signal.SIGKILL)
        for child in children:
            child.wait(reaper.KILL_SECONDS)
        # A child that has ended can leave children that hold what it held, such as its port.
        while not all(map(_is_gone, members)) and time.monotonic() < deadline + reaper.KILL_SECONDS:
            for pid in (living := _sessions(children)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            members |= living
            time.sleep(POLL)


def _sessions(children: Sequence[Process]) -> set[int]:
    return {pid for child in children for pid in child.living()}


def _is_gone(pid: int) -> bool:
    """Return whether a process holds nothing any more: it is gone, or a zombie with one thread left."""
    place = Path("/proc") / str(pid)
    try:
        state = (place / "stat").read_text().rpartition(")")[2].split()[0]
        return state == "Z" and len(list((place / "task").iterdir())) <= 1
    except OSError:
        return True
