"""Python programs in processes that are forked from one which has imported what they need.

To import what an API process or a function needs takes over a second of CPU, many times what most tests make
it do. Here that is paid once a process that starts them. They are run as `python -m` would: under their own
name, with their own arguments, environment, directory, session and log.
"""

import atexit
import contextlib
import functools
import multiprocessing
import os
import random
import runpy
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from local.supervisor.processes import Process, Processes
from local.supervisor.reaper import MARK_NAME


class _Child:
    """A forked process, asked as one of `subprocess` is."""

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


def start_forked(
    processes: Processes,
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    log: Path,
    directory: Path,
    errors: Path | None = None,
) -> Process:
    """Do as `Processes.start`, by a fork. The command is `sys.executable -m MODULE ARGUMENT ...`.

    Nothing of this process's environment reaches the module, and no file that is open here. What it says on
    its standard error is added to `errors`, or to the log where none is given.
    """
    if tuple(command[:2]) != (sys.executable, "-m"):
        raise ValueError(f"{name}: not a command of a Python module: {command}")
    module, *arguments = command[2:]
    context, guard = _server()
    own = {**environment, MARK_NAME: processes.mark}
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(
        target=_run,
        args=(theirs, module, arguments, own, (log, errors or log), directory),
        name=name,
        daemon=True,
    )
    child.start()
    theirs.close()
    # Only when its session is its own do signals reach all of it.
    with ours, contextlib.suppress(EOFError):
        ours.recv()
    return processes.adopt(Process(name, log, _Child(child), guard.mark))


@functools.cache
def _server() -> tuple[ForkServerContext, Processes]:
    """Return what forks, and who guards it: to its reaper all that is ever forked shows one mark."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["local.servers.preload"])
    guard = Processes()
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


def _run(
    started: Connection,
    module: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    logs: tuple[Path, Path],
    directory: Path,
) -> None:
    """Be `python -m MODULE ARGUMENT ...`."""
    os.setsid()
    os.chdir(directory)
    for stream, log in zip((sys.stdout, sys.stderr), logs, strict=True):
        with log.open("ab") as output:
            os.dup2(output.fileno(), stream.fileno())
    # Else all that are forked would draw the same numbers.
    random.seed()
    _replace_environment(environment)
    started.send(None)
    started.close()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
