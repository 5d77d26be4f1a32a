"""The disasters, each with the steps that end it; `SCENARIOS` has them in order."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import requests
from cryptography.fernet import Fernet

from dss.errors import CallFailed
from local.api import api_process
from local.demo.steps import REPLICAS, check
from local.drill.system import Drill
from local.errors import ComponentFailed
from shared.catalog import SCHEMA
from shared.identifiers import Kind

_RESTORED = "restored"
_HTTP_SECONDS = 30


@dataclass(frozen=True)
class Step:
    """A title and an action, which returns its figures in one line and raises StepFailed."""

    title: str
    act: Callable[[Drill], str]


@dataclass(frozen=True)
class Scenario:
    """A disaster; its first step is the disaster itself."""

    title: str
    steps: tuple[Step, ...]


def prepare(drill: Drill) -> str:
    """Upload a bundle, bind it to a group, and subscribe."""
    name = drill.upload()
    drill.bind()
    drill.subscribe()
    return f"{name} is for a group alone; subscribed to both clouds, signed"


def be_saved(drill: Drill) -> str:
    """Wait until subscriptions are saved in both buckets as they are now."""

    def is_saved() -> bool:
        return all(_saved(drill, replica) == _current(drill) for replica in REPLICAS)

    drill.wait_until(is_saved, f"the subscriptions {_current(drill)} are not saved")
    return "by the schedule of `compact`, each minute here, every five in a deployment"


def _saved(drill: Drill, replica: str) -> dict[str, int]:
    names = (key.split(".") for key in drill.keys(replica, "subscriptions/"))
    return {of.partition("/")[2]: int(generation) for of, generation, _ in names}


def _current(drill: Drill) -> dict[str, int]:
    catalog = drill.open().catalog.subscriptions
    return {replica: catalog.generations(replica)[0] for replica in REPLICAS}


def lose_catalog(drill: Drill) -> str:
    """Remove all documents: nothing is found any more."""
    drill.lose_catalog()
    gone = [name for name in drill.sent for replica in REPLICAS if drill.is_there(replica, name)]
    check(not gone, f"{gone} are still found")
    return "no document is left: 404 for all data"


def read_only(drill: Drill) -> str:
    """Refuse writes."""
    drill.dss("admin", "read-only", "on", "--reason", "a drill")
    return "dss admin read-only on"


def writable(drill: Drill) -> str:
    """Take writes again."""
    drill.dss("admin", "read-only", "off")
    return "dss admin read-only off"


def rebuild_from(replica: str) -> Step:
    """Return the step that rebuilds the catalog from a bucket: then reads of that replica answer."""

    def act(drill: Drill) -> str:
        said = json.loads(drill.dss("admin", "rebuild", "--replica", replica, "--json"))
        counts = [row for row in said.values() if isinstance(row, dict)]
        drill.read_back(replica)
        new = sum(row["new"] for row in counts)
        return (
            f"{new} objects restored, {said['subscriptions']['new']} of them subscriptions; {replica} is read"
        )

    return Step(f"rebuild from {replica}", act)


def audit(drill: Drill) -> str:
    """Compare catalog and buckets until they agree: sweeps finish what the disaster has interrupted."""
    drill.wait_until(lambda: not _findings(drill), "the audit has findings")
    return "dss admin audit: no findings"


def _findings(drill: Drill, *options: str) -> int:
    said = json.loads(drill.dss("admin", "audit", "--settled-after", "0", "--json", *options, codes=(0, 1)))
    return int(said["findings"])


def repair(replica: str) -> Step:
    """Return the step that brings back what a bucket has lost from the other one."""

    def act(drill: Drill) -> str:
        found = _findings(drill, "--repair")
        drill.read_back(replica)
        drill.wait_until(lambda: not _findings(drill), "the audit has findings")
        return f"dss admin audit --repair: {found} findings, then none; {replica} is read"

    return Step(f"repair {replica}", act)


def fill_gcp(drill: Drill) -> str:
    """Replicate all that gcp lacks."""
    for kind in Kind:
        drill.dss("admin", "resync", "--prefix", f"{kind}/", "--only-missing")
    drill.wait_until(lambda: not drill.backlog(), "gcp lacks something")
    drill.read_back("gcp")
    return f"dss admin resync --only-missing, for each of {len(Kind)} kinds; gcp is read"


def rebuild_index(drill: Drill) -> str:
    """Make the index of searches anew."""
    drill.dss("admin", "index", "rebuild")
    return "dss admin index rebuild"


def take_backup(drill: Drill) -> str:
    """Copy the catalog to another database, and go on writing."""
    count = drill.copy_catalog(_RESTORED)
    drill.upload()
    drill.lose_catalog()
    return f"{count} documents copied; then one more bundle, and the catalog is lost"


def use_backup(drill: Drill) -> str:
    """Start everything on the other database."""
    drill.restart(DSS_FIRESTORE_DATABASE=_RESTORED)
    first, *_, last = drill.sent
    check(drill.is_there("gcp", first) and not drill.is_there("gcp", last), "it is not the older catalog")
    return f"DSS_FIRESTORE_DATABASE={_RESTORED}: what is older than the backup is there"


def lose_bucket(replica: str) -> Step:
    """Return the step that loses all objects of a bucket; the other replica answers."""
    [other] = set(REPLICAS) - {replica}

    def act(drill: Drill) -> str:
        count = drill.empty_bucket(replica)
        drill.read_back(other)
        return f"{count} objects are lost; {other} is read"

    return Step(f"lose {replica}'s bucket", act)


def lose_region(drill: Drill) -> str:
    """Lose the catalog, and all objects of gcp."""
    drill.lose_catalog()
    count = drill.empty_bucket("gcp")
    return f"no document and none of {count} objects in gcp is left; only S3"


def refuse_to_start(drill: Drill) -> str:
    """Offer a release that does not start: what serves goes on."""
    try:
        with api_process(drill.env, {"DSS_INDEX": "none"}):
            pass
    except ComponentFailed as error:
        check("DSS_INDEX" in str(error), f"it fails for another reason: {error}")
        _check_serving(drill)
        return "DSS_INDEX=none: the new revision never answers, the one before serves"
    raise AssertionError("an API without an index has started")


def fail_the_smoke_test(drill: Drill) -> str:
    """Offer a release that is not the one to deploy: it gets no requests."""
    with api_process(drill.env) as candidate:
        drill.dss("deploy", "smoke", candidate.url, "--version", "0000000", "--wait", "0", codes=(1,))
        drill.dss("deploy", "smoke", candidate.url, "--wait", "30")
    _check_serving(drill)
    return "dss deploy smoke: exit code 1 for another version, 0 for this one; the one before serves"


def _check_serving(drill: Drill) -> None:
    answer = requests.get(f"{drill.env['DSS_URL']}/internal/health", timeout=_HTTP_SECONDS)
    check(answer.status_code == 200, f"/internal/health: {answer.status_code}")


def be_outdated(drill: Drill) -> str:
    """Have a newer release migrate the catalog: this one refuses to write, and reads."""
    _set_schema(drill, SCHEMA + 1)
    seconds = drill.wait_until(lambda: _write_status(drill) == 503, "writes are not refused")
    for replica in REPLICAS:
        drill.read_back(replica)
    return f"this release refuses writes {seconds:.1f} s later, and reads"


def be_current(drill: Drill) -> str:
    """Have the catalog in this release's schema again, as the newer release would read it."""
    _set_schema(drill, SCHEMA)
    seconds = drill.wait_until(lambda: _write_status(drill) == 200, "writes are refused")
    return f"a release that knows the schema writes {seconds:.1f} s later"


def _set_schema(drill: Drill, version: int) -> None:
    drill.open().catalog.switches.set_schema(version)


def _write_status(drill: Drill) -> int:
    """Return the status of a write, which changes nothing the second time."""
    try:
        client = drill.client("gcp", patience=0)
        client.put_collection(*_COLLECTION, [], name="drill", description="of the drill")
    except CallFailed as error:
        return error.status
    return 200


_COLLECTION = ("5d0b9a0e-2c59-4a3b-9c7e-5f4c0e6d7a11", "2026-01-01T000000.000000Z")


def steal_key(drill: Drill) -> str:
    """Encrypt by a new key, and know the old one still."""
    file = Path(drill.env["DSS_SECRETS_KEY_FILE"])
    file.write_bytes(Fernet.generate_key() + b"\n" + file.read_bytes())
    drill.restart()
    return "a new key first, the stolen one second; all processes started again"


def encrypt(drill: Drill) -> str:
    """Encrypt the secrets of subscriptions by the new key."""
    said = json.loads(drill.dss("admin", "secrets", "encrypt", "--json"))
    check((said["encrypted"], said["bad"]) == (len(REPLICAS), 0), f"encrypted: {said}")
    return f"dss admin secrets encrypt: {said['encrypted']} secrets"


def drop_key(drill: Drill) -> str:
    """Forget the stolen key."""
    file = Path(drill.env["DSS_SECRETS_KEY_FILE"])
    new, _ = file.read_bytes().split()
    file.write_bytes(new)
    drill.restart()
    drill.dss("admin", "secrets", "check")
    return "the stolen key decrypts nothing that is kept; sessions and tokens of journals have ended"


PROOF = Step("prove it", Drill.prove)
_SAVED = Step("subscriptions are saved", be_saved)
_AUDIT = Step("audit", audit)
_INDEX = Step("rebuild the index", rebuild_index)

SCENARIOS = (
    Scenario(
        "the catalog is lost",
        (
            Step("lose the catalog", lose_catalog),
            Step("refuse writes", read_only),
            *map(rebuild_from, REPLICAS),
            _AUDIT,
            Step("take writes", writable),
            _INDEX,
            PROOF,
        ),
    ),
    Scenario(
        "the catalog is lost, there is a backup",
        (
            Step("take a backup, lose the catalog", take_backup),
            Step("use the backup", use_backup),
            *map(rebuild_from, REPLICAS),
            _AUDIT,
            _INDEX,
            PROOF,
        ),
    ),
    Scenario("S3's bucket is lost", (lose_bucket("aws"), repair("aws"), PROOF)),
    Scenario("GCS's bucket is lost", (lose_bucket("gcp"), repair("gcp"), _SAVED, PROOF)),
    Scenario(
        "the region is lost",
        (
            Step("lose catalog and GCS", lose_region),
            rebuild_from("aws"),
            Step("fill gcp", fill_gcp),
            _AUDIT,
            _INDEX,
            _SAVED,
            PROOF,
        ),
    ),
    Scenario(
        "a release is bad",
        (
            Step("it does not start", refuse_to_start),
            Step("the smoke test fails", fail_the_smoke_test),
            Step("it is older than the catalog", be_outdated),
            Step("deploy the newer one", be_current),
            PROOF,
        ),
    ),
    Scenario(
        "a key is stolen",
        (
            Step("encrypt by a new key", steal_key),
            Step("encrypt secrets anew", encrypt),
            Step("forget the stolen key", drop_key),
            _SAVED,
            PROOF,
        ),
    ),
)
