"""Run `dss local` and the demo as processes, and find what they leave behind."""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from local.config import PATIENCE
from local.source_tree import python_path
from local.supervisor.processes import with_default_signals

ROOT = Path(__file__).resolve().parents[2]
# Seconds after which a process that has to end counts as left behind.
GONE_SECONDS = 60.0
STANDIN = '''
async def app(scope, receive, send):
    """An API that is healthy, and does nothing else."""
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"17")]})
        await send({"type": "http.response.body", "body": b'{"Healthy": true}'})

async def unhealthy(scope, receive, send):
    """An API that never becomes healthy."""
    await send({"type": "http.response.start", "status": 500, "headers": []})
    await send({"type": "http.response.body", "body": b""})

# The limit of a slow client, which run/api/connections.py asks the application for.
app.client_seconds = unhealthy.client_seconds = 60.0
'''


def wait_until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Return when the condition holds; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def descendants(pid: int) -> set[int]:
    """Return the ids of all living descendants of a process."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def is_alive(pid: int) -> bool:
    """Return whether a process is there that is no zombie."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def env_file_in(directory: Path) -> Path:
    """Return the environment file of what runs in a directory."""
    return directory / "dss" / "env"


class Command:
    """A Python program in a process, marked so that the processes that it leaves can be found."""

    def __init__(self, directory: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self.mark = secrets.token_hex(8)
        self.env_file = env_file_in(directory)
        self.temporary = directory / "tmp"
        self.temporary.mkdir()
        self._errors = directory / "stderr"
        self._output = directory / "stdout"
        (directory / "standin.py").write_text(STANDIN)
        self.seen: set[int] = set()
        with self._errors.open("wb") as errors, self._output.open("wb") as output:
            self.process = subprocess.Popen(
                with_default_signals([sys.executable, *arguments]),
                env={
                    # Other tests of this process may have set where their system's emulators are.
                    **{
                        name: value
                        for name, value in os.environ.items()
                        if not name.startswith(("DSS_", "AWS_", "GOOGLE_"))
                        and not name.endswith("_EMULATOR_HOST")
                    },
                    "PYTHONPATH": python_path(str(directory), os.environ.get("PYTHONPATH", "")),
                    "TMPDIR": str(self.temporary),
                    "TEST_MARK": self.mark,
                    **environment,
                },
                stdout=output,
                stderr=errors,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def components_ready(self) -> int:
        """Return how many components have been reported as ready."""
        return self.errors.count(" ready after ")

    def wait_for(self, condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
        """Return when the condition holds; fail if the command ends first."""
        try:
            wait_until(lambda: condition() or self.process.poll() is not None, seconds, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self.errors}") from error
        assert condition(), f"it ended before {what}: {self.errors}"

    def wait_until_ready(self) -> str:
        """Return the URL that it says it is ready at."""
        self.wait_for(lambda: "DSS is ready at" in self.output, "the system is ready")
        return self.output.strip().rpartition(" ")[2]

    def child(self, name: str) -> int:
        """Return the id of the descendant with this name."""
        for pid in descendants(self.process.pid):
            with contextlib.suppress(OSError):
                if (Path("/proc") / str(pid) / "comm").read_text().strip() == name:
                    return pid
        raise AssertionError(f"no process is named {name}")

    def leftovers(self) -> set[int]:
        """Return the living processes that it started: with its mark, or recorded by `send`."""
        marked = set()
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if (
                    entry.name.isdigit()
                    and f"TEST_MARK={self.mark}".encode() in (entry / "environ").read_bytes()
                ):
                    marked.add(int(entry.name))
        return {pid for pid in marked | self.seen if is_alive(pid)}

    def send(self, number: int) -> None:
        """Record all descendants (the reaper lacks the mark), and send a signal."""
        self.seen = descendants(self.process.pid)
        self.process.send_signal(number)

    def assert_all_gone(self) -> None:
        """Wait until the command has ended and nothing of it is left; fail after GONE_SECONDS."""
        self.process.wait(GONE_SECONDS)
        wait_until(lambda: not self.leftovers(), GONE_SECONDS, "every process is gone")
        wait_until(lambda: not any(self.temporary.iterdir()), GONE_SECONDS, "the temporary directory is gone")


@pytest.fixture
def commands() -> Iterator[list[Command]]:
    """Return the commands that a test has started; they are killed at its end."""
    started: list[Command] = []
    yield started
    for command in started:
        command.process.kill()
        command.process.wait()
        for pid in command.leftovers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A temporary directory that other users may enter, as PostgreSQL's does if root starts it."""
    with tempfile.TemporaryDirectory(prefix="dss-test-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


def _new_directory(within: Path) -> Path:
    directory = Path(tempfile.mkdtemp(dir=within))
    directory.chmod(0o711)
    return directory


@pytest.fixture
def python(open_path: Path, commands: list[Command]) -> Callable[..., Command]:
    """Return what starts Python with arguments and environment."""

    def start(*arguments: str, **environment: str) -> Command:
        commands.append(Command(_new_directory(open_path), arguments, environment))
        return commands[-1]

    return start


def _starter(module: str, open_path: Path, commands: list[Command]) -> Callable[..., Command]:
    """Return what starts a module that takes the options of `dss local`, with options and environment."""

    def start(*options: str, **environment: str) -> Command:
        directory = _new_directory(open_path)
        arguments = ("-m", module, "--env-file", str(env_file_in(directory)), *options)
        commands.append(Command(directory, arguments, environment))
        return commands[-1]

    return start


@pytest.fixture
def dss_local(open_path: Path, commands: list[Command]) -> Callable[..., Command]:
    """Return what starts `dss local` with options and environment."""
    return _starter("local", open_path, commands)


@pytest.fixture
def small_local(open_path: Path, commands: list[Command]) -> Callable[..., Command]:
    """Return what starts `dss local` of a part of the system, at a fraction of the cost."""
    return _starter("tests.support.small_local", open_path, commands)


@pytest.fixture
def assert_gone() -> Callable[..., None]:
    """Return a function that fails unless the processes of these ids end."""
    return lambda *pids: wait_until(lambda: not any(map(is_alive, pids)), GONE_SECONDS, f"{pids} are gone")
