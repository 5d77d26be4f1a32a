"""Make the archives of the emulators' Java classes that are missing (see `class_archive`).

    python -m local.archive_classes

Where one can't be made, it says why, and the emulators start without.
"""

import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import requests

from local import class_archive, probes
from local.components.emulators import firestore_command, pubsub_command
from local.config import PATIENCE, PROJECT
from local.errors import LocalError, MissingRequirements
from local.machine import find_emulators
from local.supervisor.ports import HOST, reserve
from local.supervisor.processes import POLL, Processes

# Seconds for writing an archive at the JVM's end, which takes four.
_WRITING = 60.0


def main() -> None:
    """Make what is missing, nothing without Java and the emulators."""
    try:
        emulators = find_emulators(os.environ)
    except MissingRequirements:
        return
    for jar, command, use in (
        (emulators.firestore, firestore_command, _write_a_document),
        (emulators.pubsub, pubsub_command, _make_a_topic),
    ):
        archive = class_archive.path_of(emulators.java, jar)
        if archive.exists():
            continue
        print(f"Archiving the classes of {jar.name}, once, for faster starts.", flush=True)
        try:
            archive.parent.mkdir(parents=True, exist_ok=True)
            with reserve() as keeper, tempfile.TemporaryDirectory(dir=archive.parent) as directory:
                port = keeper.getsockname()[1]
                unfinished = Path(directory) / archive.name
                run = command(emulators, port, f"-XX:ArchiveClassesAtExit={unfinished}")
                _run(run, port, use, Path(directory))
                unfinished.replace(archive)
        except (LocalError, OSError, requests.RequestException) as error:
            print(f"No archive, so {jar.name} starts as slowly as ever: {error}", flush=True)


def _run(command: tuple[str, ...], port: int, use: Callable[[str], None], directory: Path) -> None:
    """Start an emulator, use it, and end it, whereupon it writes its archive."""
    with Processes() as processes:
        process = processes.start("emulator", command, os.environ, log=directory / "log", directory=directory)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                probes.answers_ok(f"http://{HOST}:{port}")
                break
            except probes.NotReady as error:
                if process.exit_code is not None or time.monotonic() > deadline:
                    raise LocalError(f"{command}: {error}\n{process.log_tail()}") from error
            time.sleep(POLL)
        use(f"http://{HOST}:{port}")
        process.signal(signal.SIGTERM)
        if not process.wait(_WRITING):
            raise LocalError(f"{command} wrote no archive within {_WRITING:g} s\n{process.log_tail()}")


def _write_a_document(url: str) -> None:
    documents = f"{url}/v1/projects/{PROJECT}/databases/(default)/documents"
    fields = {"fields": {"archived": {"booleanValue": True}}}
    _ask(requests.Request("POST", f"{documents}/classes", json=fields))
    _ask(requests.Request("GET", f"{documents}/classes"))


def _make_a_topic(url: str) -> None:
    topic = f"{url}/v1/projects/{PROJECT}/topics/classes"
    _ask(requests.Request("PUT", topic))
    _ask(requests.Request("POST", f"{topic}:publish", json={"messages": [{"data": "YXJjaGl2ZWQ="}]}))


def _ask(request: requests.Request) -> None:
    with requests.Session() as session:
        session.send(request.prepare(), timeout=PATIENCE).raise_for_status()


if __name__ == "__main__":
    main()
