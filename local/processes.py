"""Child processes that never outlive their parent, nor leave children of their own. Linux only (/proc)."""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from local import reaper
from local.failures import LocalFailure

# Seconds between asking a process to end and killing it.
GRACE = 3.0
# Seconds between two looks at a condition that is waited for.
POLL = 0.02


class Child(Protocol):
    """What is asked of a child, as `subprocess.Popen` answers it."""

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


class Process:
    """One child, its session of its own, its output in a file; `mark` is in its environment at its exec."""

    def __init__(self, name: str, log: Path, popen: Child, mark: str) -> None:
        self.name = name
        self.log = log
        self.pid = popen.pid
        self._popen = popen
        self._mark = mark

    @property
    def exit_code(self) -> int | None:
        """None while the process lives; else its exit code, negative where a signal ended it."""
        return self._popen.poll()

    def signal(self, number: int) -> None:
        """Send a signal to the process, SIGKILL also to what it started; does nothing once it ended."""
        if self._popen.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)

    def living(self) -> list[int]:
        """Return the ids of the processes of its session that live, its own included."""
        members = []
        for pid in reaper.marked(self._mark):
            with contextlib.suppress(ProcessLookupError):
                if os.getpgid(pid) == self.pid:
                    members.append(pid)
        return members

    def wait(self, seconds: float) -> bool:
        """Return whether the process ended within `seconds`."""
        try:
            self._popen.wait(max(seconds, 0.0))
        except subprocess.TimeoutExpired:
            return False
        return True

    def log_tail(self, lines: int = 40) -> str:
        """Return the last lines of the log."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""


class Processes:
    """Starts processes, and guarantees their end: on leaving, and when this process dies, by SIGKILL too.

    `scratch` is a temporary directory that is removed after the last of them has ended.
    """

    def __init__(self) -> None:
        self.mark = secrets.token_hex(16)
        self._children: list[Process] = []
        # Named first, made after somebody is there to remove it.
        self.scratch = Path(tempfile.gettempdir()) / f"dss-local-{secrets.token_hex(8)}"
        self._reaper = self._start_reaper()
        self.scratch.mkdir(mode=0o700)

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start_reaper(self) -> subprocess.Popen[bytes]:
        # Its environment is empty, lest the mark of a surrounding stack condemn it before its work is done.
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
            raise LocalFailure("The process that watches over the others did not start.")
        return process

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], *, log: Path, directory: Path
    ) -> Process:
        """Start a command in a session of its own (Ctrl-C reaches only us), its output added to `log`.

        Raises OSError where the command can't be run.
        """
        with log.open("ab") as output:
            popen = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**environment, reaper.MARK_NAME: self.mark},
                cwd=directory,
                start_new_session=True,
            )
        return self.adopt(Process(name, log, popen, self.mark))

    def adopt(self, process: Process) -> Process:
        """Take charge of a process that was started elsewhere, and return it."""
        self._children.append(process)
        return process

    def ended(self) -> list[Process]:
        """Return the processes that have ended by themselves or were ended, in order of their start."""
        return [child for child in self._children if child.exit_code is not None]

    def end(self, process: Process, *, number: int = signal.SIGTERM) -> None:
        """End one process, and all of its session, by a signal, by SIGKILL after GRACE; forget it."""
        self._end_all([process], number)
        self._children.remove(process)

    def close(self) -> None:
        """Kill all; the reaper then kills and removes what is left. May be called twice.

        Nobody is asked to end: what they hold ends with them, and asking takes seconds.
        """
        self._end_all(self._children, signal.SIGKILL)
        self._children.clear()
        assert self._reaper.stdin
        assert self._reaper.stdout
        with contextlib.suppress(BrokenPipeError):
            self._reaper.stdin.close()
        self._reaper.stdout.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._reaper.wait(reaper.PATIENCE)

    def _end_all(self, children: Sequence[Process], number: int) -> None:
        members = _sessions(children)
        for child in children:
            child.signal(number)
        deadline = time.monotonic() + GRACE
        for child in children:
            if not child.wait(deadline - time.monotonic()):
                child.signal(signal.SIGKILL)
        for child in children:
            child.wait(reaper.PATIENCE)
        # A child that has ended may have left children, which hold what it held: its port, for instance.
        while not all(map(_is_gone, members)) and time.monotonic() < deadline + reaper.PATIENCE:
            for pid in (living := _sessions(children)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            members |= living
            time.sleep(POLL)


def _sessions(children: Sequence[Process]) -> set[int]:
    return {pid for child in children for pid in child.living()}


def _is_gone(pid: int) -> bool:
    """Return whether a process holds nothing any more: not there, or a zombie in its last thread too."""
    place = Path("/proc") / str(pid)
    try:
        state = (place / "stat").read_text().rpartition(")")[2].split()[0]
        return state == "Z" and len(list((place / "task").iterdir())) <= 1
    except OSError:
        return True
