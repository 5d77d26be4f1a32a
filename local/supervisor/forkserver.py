"""Run Python programs in processes forked from one that has already imported what they need.

The imports of an API process or a function take over a second of CPU, many times what most tests make it do,
and a system has fifteen such processes. The imports are paid for once. The programs run as by
`python -m`: under their own name, with their own arguments, environment, directory, session, signals and log.
"""

import atexit
import contextlib
import functools
import multiprocessing
import os
import random
import runpy
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from types import TracebackType

from local.supervisor.processes import Process, Processes
from local.supervisor.reaper import MARK_NAME


class _Child:
    """A forked process, with the interface of `subprocess.Popen`."""

    def __init__(self, process: ForkServerProcess) -> None:
        assert process.pid
        self.pid = process.pid
        self._process = process

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout)
        return self._process.exitcode


def start(
    processes: Processes,
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    log: Path,
    directory: Path,
    errors: Path | None = None,
) -> Process:
    """Start `sys.executable -m MODULE ARGUMENT ...` by a fork, any other command as `Processes.start` does.

    The module inherits neither this process's environment nor its open files. Its standard error is appended
    to `errors`, or to the log if that is None. Raises FileNotFoundError if there is no such program.
    """
    if tuple(command[:2]) != (sys.executable, "-m"):
        return processes.start(name, command, environment, log=log, directory=directory)
    module, *arguments = command[2:]
    context, guard = _server()
    own = {**environment, **processes.environment}
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(
        target=_run,
        args=(theirs, name, module, arguments, own, (log, errors or log), directory),
        name=name,
        daemon=True,
    )
    child.start()
    theirs.close()
    # Wait until it has a session of its own: only then do signals reach all of it.
    with ours, contextlib.suppress(EOFError):
        ours.recv()
    return processes.adopt(Process(name, log, _Child(child), guard.mark))


@functools.cache
def _server() -> tuple[ForkServerContext, Processes]:
    """Return the forkserver, and the supervisor whose mark it and all its children carry."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["local.servers.preload"])
    guard = Processes()
    # SIGKILL would leave the directory that multiprocessing makes for its sockets, and has no setting for.
    process = multiprocessing.current_process()
    settings: dict[str, str] = process._config  # type: ignore[attr-defined] # noqa: SLF001
    settings["tempdir"] = guard.environment["TMPDIR"]
    with _environment({**os.environ, MARK_NAME: guard.mark}):
        forkserver.ensure_running()
    atexit.register(guard.close)
    return context, guard


@contextlib.contextmanager
def _environment(environment: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    _replace_environment(environment)
    try:
        yield
    finally:
        _replace_environment(before)


def _replace_environment(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)


def _restore_signals() -> None:
    """Set the action that a Python program in the foreground starts with, not what this one inherited."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def _run(
    started: Connection,
    name: str,
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    logs: tuple[Path, Path],
    directory: Path,
) -> None:
    """Become `python -m MODULE ARGUMENT ...`."""
    os.setsid()
    # The name that `ps` and `top` show, 15 bytes at most: the command is the forkserver's.
    Path("/proc/self/comm").write_text(name)
    _restore_signals()
    os.chdir(directory)
    for stream, log in zip((sys.stdout, sys.stderr), logs, strict=True):
        with log.open("ab") as output:
            os.dup2(output.fileno(), stream.fileno())
    # Otherwise all forked processes would draw the same random numbers.
    random.seed()
    _replace_environment(environment)
    started.send(None)
    started.close()
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 # the program's own, which Python would print and end with
        traceback.print_exception(error.with_traceback(_of_program(error.__traceback__)))
        sys.exit(1)


def _of_program(frames: TracebackType | None) -> TracebackType | None:
    """Return the part of a traceback that the program itself would have shown."""
    while frames and frames.tb_frame.f_code.co_filename in (__file__, "<frozen runpy>"):
        frames = frames.tb_next
    return frames
