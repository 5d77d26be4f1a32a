"""The steps of the demo. A step acts, checks the result, and returns its figures in one line."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from dss.client import Client
from dss.errors import CallFailed
from dss.reports import Report
from dss.transfer.directory import scan
from dss.transfer.file_uploads import checksum_file
from dss.transfer.media_types import content_type_of
from dss.transfer.staging import staging_for
from local.demo.data import Fingerprint, differences, fingerprints, make_sample
from local.demo.listener import Listener
from shared.clock import Deadline, SystemClock, new_version

# Seconds that a call is retried for, on a machine that is busy with other work too.
PATIENCE = 60.0
# Seconds that replication may take, and the rate (bytes a second) that its bytes may take beside them.
_ARRIVAL = 180.0
_SLOWEST = 1e6
_LOOK_AGAIN = 0.2
_JOBS = 8
REPLICAS = ("gcp", "aws")
_LISTED = 5
_CONFLICT = "409 bundle_already_exists"


class StepFailed(Exception):
    """The system did not do what the step demonstrates."""


@dataclass(kw_only=True)
class Scene:
    """The state that steps share: environment, uploaded data, and names."""

    env: Mapping[str, str]
    # Removed with the system's own data.
    scratch: Path
    # The directory to move; None for the sample.
    data: Path | None = None
    # Whether the system has data of others, too: then a search by content finds more than what was sent.
    shared: bool = False
    sent: Mapping[str, Fingerprint] = field(default_factory=dict)
    uuid: str = ""
    version: str = ""
    # When its upload had ended, by a monotonic clock.
    uploaded: float = 0.0
    # The version that was made last.
    newest: str = ""
    # The subscriber, after `subscribe`.
    listener: Listener | None = None

    @property
    def subscriber(self) -> Listener:
        """The listener. Raises StepFailed before `subscribe`."""
        if self.listener is None:
            raise StepFailed("there is no subscriber yet")
        return self.listener

    @property
    def directory(self) -> Path:
        """The directory that is uploaded."""
        return self.data or self.scratch / "sample"

    @property
    def size(self) -> int:
        """The size of the upload, in bytes."""
        return sum(file.size for file in self.sent.values())

    def client(self, replica: str, token: str = "DSS_TOKEN") -> Client:
        """Return a client of a replica, for the person with this token."""
        return Client(self.env["DSS_URL"], self.env[token], replica=replica, patience=PATIENCE)


Act = Callable[[Scene], str]


@dataclass(frozen=True)
class Step:
    """A title and an action; `act` raises StepFailed, ClientError or OSError if it fails.

    One that is done `anywhere` needs no more than a token that may write, and its staging buckets: no
    subscriber that the system can reach, no tokens of other people, and no system without other data.
    """

    title: str
    act: Act
    anywhere: bool = False


def amount(size: int) -> str:
    """Format a number of bytes for people."""
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size:,} bytes"


def check(condition: bool, problem: str) -> None:
    """Raise StepFailed with the problem, unless the condition holds."""
    if not condition:
        raise StepFailed(problem)


def _check_report(report: Report) -> None:
    failed = [f"{failure.name}: {failure.why}" for failure in report.failed]
    check(report.ok, f"{len(failed)} of {report.files} files failed: {'; '.join(failed[:_LISTED])}")


def make_ready(scene: Scene) -> str:
    """Make the sample unless a directory was given, and fingerprint every file."""
    if not scene.data:
        make_sample(scene.directory)
    scene.sent = fingerprints(scene.directory)
    largest = max(file.size for file in scene.sent.values())
    return f"{len(scene.sent)} files, {amount(scene.size)}, the largest {amount(largest)}"


def upload(scene: Scene) -> str:
    """Stage the directory, PUT each file, PUT the bundle, like `dss upload`."""
    client = scene.client("gcp")
    report = client.upload(scene.directory, state=scene.scratch / "upload.jsonl", jobs=_JOBS)
    _check_report(report)
    scene.uuid, scene.version = report.uuid, report.version
    scene.uploaded = time.monotonic()
    return f"{report.put} files staged and PUT, then the bundle: {_rate(report.bytes, report.seconds)}"


def _rate(size: int, seconds: float) -> str:
    return f"{amount(size)}, {size / 1e6 / max(seconds, 0.001):,.0f} MB/s"


def _rows(client: Client, scene: Scene) -> list[dict[str, Any]]:
    files = client.bundle(scene.uuid, scene.version)["files"]
    return [{name: row[name] for name in ("uuid", "version", "name", "indexed")} for row in files]


def arrive_in_aws(scene: Scene) -> str:
    """Wait until the bundle is readable in the other cloud: then all of its files are."""
    waited = _wait_for(scene, "aws", scene.version)
    return f"{len(scene.sent)} files and the bundle replicated: {_rate(scene.size, waited)}"


def _wait_for(scene: Scene, replica: str, version: str) -> float:
    client = scene.client(replica)
    return wait_until(
        scene,
        lambda: client.has_bundle(scene.uuid, version),
        f"{scene.uuid}.{version} has not arrived in {replica}",
    )


def patience(scene: Scene) -> float:
    """Return the seconds that an operation on all of the data may take."""
    return _ARRIVAL + scene.size / _SLOWEST


def wait_until(scene: Scene, condition: Callable[[], bool], problem: str) -> float:
    """Wait until the condition holds, and return the seconds that it took.

    Raises StepFailed with the problem if it takes longer than the size of the data explains.
    """
    return wait_at_most(patience(scene), condition, problem)


def wait_at_most(seconds: float, condition: Callable[[], bool], problem: str) -> float:
    """Wait until the condition holds, and return the seconds that it took. Raises StepFailed."""
    clock = SystemClock()
    began, deadline = time.monotonic(), Deadline(clock, seconds)
    while not condition():
        check(not deadline.passed, problem)
        clock.sleep(_LOOK_AGAIN)
    return time.monotonic() - began


def refuse_other_content(scene: Scene) -> str:
    """PUT other content under the bundle's UUID and version, in both clouds: it is refused."""
    for replica in REPLICAS:
        client = scene.client(replica)
        rows = _rows(client, scene)
        rows[0]["indexed"] = not rows[0]["indexed"]
        answer = "accepted"
        try:
            client.put_bundle(scene.uuid, scene.version, rows)
        except CallFailed as error:
            answer = f"{error.status} {error.code}"
        check(answer == _CONFLICT, f"other content under the same version: {answer}, in {replica}")
    return f"{_CONFLICT}, in both clouds"


def enumerate_bundles(scene: Scene) -> str:
    """Find the bundle in GET /bundles/all of both clouds."""
    for replica in REPLICAS:
        check(_is_listed(scene, replica), f"GET /bundles/all of {replica} lacks {scene.uuid}.{scene.version}")
    return f"{scene.uuid}.{scene.version} is in both lists"


def _is_listed(scene: Scene, replica: str) -> bool:
    listed = scene.client(replica).bundles(prefix=scene.uuid)
    return any((row["uuid"], row["version"]) == (scene.uuid, scene.version) for row in listed)


def read_back(replica: str) -> Act:
    """Return the step that downloads the bundle from a replica by signed URLs, and compares every byte."""

    def act(scene: Scene) -> str:
        target = scene.scratch / f"from-{replica}"
        report = scene.client(replica).download(scene.uuid, scene.version, to=target, jobs=_JOBS)
        _check_report(report)
        # Compare the files on disk; don't rely on the download's own verification.
        wrong = differences(scene.sent, fingerprints(target))
        check(not wrong, "; ".join(wrong[:_LISTED]))
        return f"{len(scene.sent)} files, sha256 right: {_rate(report.received, report.seconds)}"

    return act


def add_a_file(scene: Scene) -> str:
    """PATCH the bundle in aws: the new version is the newest, also in gcp; the old one is unchanged."""
    client = scene.client("aws")
    before = _rows(client, scene)
    name = _free_name(scene.sent)
    added = {**_put_note(scene, client, name), "name": name, "indexed": True}
    version = client.patch_bundle(scene.uuid, scene.version, add=[added])
    waited = _wait_for(scene, "gcp", version)
    scene.newest = version
    for replica in REPLICAS:
        newest = scene.client(replica).bundle(scene.uuid)
        names = {row["name"] for row in newest["files"]}
        check(newest["version"] == version > scene.version, f"{newest['version']} is newest in {replica}")
        check(names == {*scene.sent, name}, f"the new version has {len(names)} files in {replica}")
        check(_rows(scene.client(replica), scene) == before, f"the old version has changed in {replica}")
    return f"{version} of {len(before) + 1} files is the newest in aws, {waited:.1f} s later in gcp"


def _put_note(scene: Scene, client: Client, name: str) -> dict[str, str]:
    path = scene.scratch / "note" / name
    path.parent.mkdir()
    path.write_text('{"note": "added by the demo"}\n')
    [file] = scan(path.parent)
    uuid, version = str(uuid4()), new_version(client.clock)
    staging = staging_for(client.replica, client.settings.staging_bucket)
    url = staging.put(
        path, f"{uuid}.{version}", checksum_file(file, client.clock), content_type_of(name), lambda _: None
    )
    client.put_file(uuid, version, url)
    staging.delete(url)
    return {"uuid": uuid, "version": version}


def _free_name(taken: Mapping[str, Fingerprint]) -> str:
    name = "demo_note.json"
    while any(other == name or other.startswith(f"{name}/") for other in taken):
        name = f"another_{name}"
    return name


def delete(scene: Scene) -> str:
    """Hide the bundle for ever, as an admin (a writer is refused): no list and no GET shows it."""
    reason = "shown in the demo"
    try:
        scene.client("gcp").delete_bundle(scene.uuid, reason=reason)
    except CallFailed as error:
        check(error.status == 403, f"DELETE by a writer was answered {error.status} {error.code}, not 403")
    else:
        raise StepFailed("DELETE by a writer was not refused")
    return f"403 for a writer; {_hide(scene, reason)}"


def leave_nothing_to_see(scene: Scene) -> str:
    """Hide the bundle for ever, if there is a token of an admin; else say that it stays."""
    if not scene.env.get("DSS_ADMIN_TOKEN"):
        return f"{scene.uuid} stays: DSS_ADMIN_TOKEN, the token of an admin, would hide it"
    return _hide(scene, "made to try the deployment")


def _hide(scene: Scene, reason: str) -> str:
    scene.client("gcp", "DSS_ADMIN_TOKEN").delete_bundle(scene.uuid, reason=reason)
    for replica in REPLICAS:
        gone = not scene.client(replica).has_bundle(scene.uuid, scene.version)
        check(gone and not _is_listed(scene, replica), f"{scene.uuid} can still be seen in {replica}")
    return "an admin hides it: 404 and not listed, in both clouds"
