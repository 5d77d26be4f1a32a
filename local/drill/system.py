"""The system of the drill: what operators and disasters do to it, and the proof that all is well."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from dss.client import Client
from dss.errors import CallFailed
from dss.reports import Report
from local.demo.data import Fingerprint, differences, fingerprints
from local.demo.steps import PATIENCE, REPLICAS, StepFailed, check, wait_at_most
from local.drill.subscriber import SECRET, Subscriber
from local.source_tree import python_path
from local.stack import Stack
from shared.config import Settings
from shared.system import Dss
from shared.wiring import open_system

GROUP = "dss"
_SECONDS = 300.0
_DEFAULT = "(default)"


@dataclass(kw_only=True)
class Drill:
    """A running system with a bundle that is bound to a group, and a subscriber of both clouds."""

    stack: Stack
    env: dict[str, str]
    scratch: Path
    subscriber: Subscriber = field(default_factory=Subscriber)
    sent: dict[str, dict[str, Fingerprint]] = field(default_factory=dict)
    subscriptions: frozenset[str] = frozenset()
    _number: int = 0

    def client(self, replica: str, token: str = "DSS_TOKEN", *, patience: float = PATIENCE) -> Client:
        """Return a client of a replica; an empty name of a token is a stranger's."""
        return Client(self.env["DSS_URL"], self.env.get(token, ""), replica=replica, patience=patience)

    def wait_until(self, condition: Callable[[], bool], problem: str) -> float:
        """Wait until a condition holds; return the seconds that it took. Raises StepFailed."""
        return wait_at_most(_SECONDS, condition, problem)

    def dss(self, *arguments: str, codes: Collection[int] = (0,)) -> str:
        """Run a `dss` command, and return its output. Raises StepFailed unless it ends with such a code."""
        command = [sys.executable, "-m", "dss.commands.main", *arguments]
        environment = {**os.environ, **self.env, "PYTHONPATH": python_path(), "XDG_CONFIG_HOME": os.devnull}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        said = (done.stderr.strip() or done.stdout.strip())[-500:]
        check(done.returncode in codes, f"dss {' '.join(arguments)}: {done.returncode}: {said}")
        return done.stdout

    def restart(self, **changes: str) -> None:
        """Start all processes of ours again, with a changed environment, as a deployment does."""
        self.env.update(changes)
        for name in ("functions", "api", "push"):
            self.stack.restart(name, changes)

    # What users do.

    def upload(self) -> str:
        """Upload a new bundle to gcp, wait for it in aws, and return its name."""
        self._number += 1
        directory = self.scratch / f"data-{self._number}"
        directory.mkdir()
        (directory / "cells.json").write_text(json.dumps({"number": self._number}))
        (directory / "reads.bin").write_bytes(os.urandom(256 * 1024))
        report = self.client("gcp").upload(directory, state=self.scratch / f"state-{self._number}")
        _check_report(report)
        name = f"{report.uuid}.{report.version}"
        self.sent[name] = fingerprints(directory)
        self.wait_until(lambda: self.is_there("aws", name), f"{name} has not arrived in aws")
        self.wait_until(lambda: not self.backlog(), f"the events of {name} are not published")
        return name

    def backlog(self) -> int:
        """Return how many objects are missing or not published."""
        said = json.loads(self.dss("admin", "replication", "--seconds", "0", "--json"))
        return sum(row["missing"] + row["unpublished"] for row in said["replicas"].values())

    def is_there(self, replica: str, name: str) -> bool:
        """Return whether the members of the group find a bundle version."""
        uuid, _, version = name.partition(".")
        return self.client(replica).has_bundle(uuid, version)

    def subscribe(self) -> None:
        """Subscribe to both clouds, with a secret."""
        for replica in REPLICAS:
            self.client(replica).subscribe(self.subscriber.url, hmac_secret_key=SECRET)
        self.subscriptions = self._subscribed()

    def _subscribed(self) -> frozenset[str]:
        return frozenset(row["uuid"] for replica in REPLICAS for row in self.client(replica).subscriptions())

    def read_back(self, replica: str) -> None:
        """Download all bundles from a replica, and compare every byte. Raises StepFailed."""
        for name, sent in self.sent.items():
            self._number += 1
            target = self.scratch / f"read-{self._number}"
            uuid, _, version = name.partition(".")
            _check_report(self.client(replica).download(uuid, version, to=target))
            wrong = differences(sent, fingerprints(target))
            check(not wrong, f"{name} from {replica}: {'; '.join(wrong)}")

    def prove(self) -> str:
        """Prove that all is as before, and that new data go all the ways. Raises StepFailed."""
        for replica in REPLICAS:
            self.read_back(replica)
            self._check_bound(replica)
        now = self._subscribed()
        check(now == self.subscriptions, f"the subscriptions are {sorted(now)}")
        refused = self.subscriber.refused
        version = self.upload().partition(".")[2]
        expected = {(replica, version) for replica in REPLICAS}
        self.wait_until(lambda: expected <= self.subscriber.notified, f"{version} was not notified")
        check(self.subscriber.refused == refused, "a notification had a wrong signature")
        return (
            f"{len(self.sent) - 1} bundles byte for byte, 401 for strangers, "
            "a new one in both clouds and notified, signed"
        )

    def bind(self) -> None:
        """Bind the first bundle to a group, with its files."""
        [name] = self.sent
        self.dss("admin", "access", "add", name.partition(".")[0], GROUP, "--with-files")

    def _check_bound(self, replica: str) -> None:
        uuid, _, version = next(iter(self.sent)).partition(".")
        try:
            self.client(replica, "").bundle(uuid, version)
        except CallFailed as error:
            check(error.status == 401, f"a stranger gets {error.status} of {uuid} in {replica}")
        else:
            raise StepFailed(f"a stranger reads {uuid} in {replica}")

    # What a disaster does.

    @property
    def database(self) -> str:
        """The Firestore database that is in use."""
        return self.env.get("DSS_FIRESTORE_DATABASE", _DEFAULT)

    def open(self, database: str = "") -> Dss:
        """Return the parts of the system, with a catalog in the database in use or in another one."""
        return open_system(
            Settings.from_environment({**self.env, "DSS_FIRESTORE_DATABASE": database or self.database})
        )

    def lose_catalog(self) -> None:
        """Remove every document of the catalog."""
        project = f"projects/{self.env['GOOGLE_CLOUD_PROJECT']}/databases/{self.database}"
        url = f"http://{self.env['FIRESTORE_EMULATOR_HOST']}/emulator/v1/{project}/documents"
        requests.delete(url, timeout=60).raise_for_status()

    def copy_catalog(self, database: str) -> int:
        """Copy every document to another database, as a backup that is restored; return how many."""
        source, target = (self.open(name).catalog.database.client for name in (self.database, database))
        count = 0
        for snapshot in _documents(source.collections()):
            target.document(snapshot.reference.path).set(snapshot.to_dict())
            count += 1
        return count

    def keys(self, replica: str, prefix: str = "") -> list[str]:
        """Return the keys of a main bucket."""
        there = self.open().replicas.named(replica)
        return [stored.key for stored in there.store.list(there.bucket, prefix)]

    def empty_bucket(self, replica: str) -> int:
        """Remove every object of a main bucket; return how many."""
        keys, there = self.keys(replica), self.open().replicas.named(replica)
        for key in keys:
            there.store.delete(there.bucket, key)
        return len(keys)


def _documents(collections: Any) -> Iterator[Any]:
    for collection in collections:
        for reference in collection.list_documents():
            snapshot = reference.get()
            if snapshot.exists:
                yield snapshot
            yield from _documents(reference.collections())


def _check_report(report: Report) -> None:
    failed = [f"{failure.name}: {failure.why}" for failure in report.failed]
    check(report.ok, "; ".join(failed[:3]))
