"""Everybody, and everything that they may or may not have: what the tests of docs/access.md ask with and for.

`CALLS` has a request for each row of the table there. `World.make` prepares what its columns are about.
"""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import requests

from local.issuer.client import request_token
from run.drs.document import DRS_PATH
from run.explore.manifest_tokens import ManifestToken, parse_token
from shared.access import labels_of
from shared.bindings import change_binding
from shared.catalog import CheckoutOrder, ImportOrder, JobState, ListSlice
from shared.config import Settings
from shared.explore.base import INDEXED, BundleState
from shared.explore.changes import Said
from shared.identifiers import Fqid, Kind
from shared.purges.records import declare, new_purge
from shared.system import Dss
from shared.wiring import open_catalogues
from tests.support.access_forms import ACCOUNT_CALLS
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_collection, put_file
from tests.support.clouds import Clouds
from tests.support.hca_sample import HcaBundle

PAGE = Path(__file__).parents[2] / "docs" / "access.md"
_BUCKETS = "matrix-own-"
# Lets everybody who has signed in check out into a bucket of their own.
SETTINGS = {"DSS_DESTINATIONS": json.dumps([{"url": f"gs://{_BUCKETS}*", "groups": ["signed-in"]}])}
# In the order of the statuses in a cell.
WHO = ("stranger", "signed in", "other", "reader", "owner", "admin")
HIDDEN, PURGED = "hidden", "purged"
READERS, OWNERS = "matrix-readers", "matrix-owners"
# The bindings of files and bundles, and the readers of collections, in each column.
_BINDINGS = {
    "public": {},
    "owned": {"owner_group": OWNERS},
    "managed": {"readers": frozenset((READERS,)), "owner_group": OWNERS},
}
# What is asked for in other columns is the same.
_STATE = {HIDDEN: "managed", PURGED: "managed"}
_COLLECTION_READERS = {"public": "public", "managed": READERS}

Cell = tuple[int, ...]


@cache
def expected() -> Mapping[str, Mapping[str, Cell]]:
    """Return the table of docs/access.md: by operation and column, the status for each of `WHO`."""
    text = PAGE.read_text()
    [(head, body)] = re.findall(r"^\| operation \|(.*)\|\n\|[ |-]*\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    columns = [name.strip() for name in head.split("|")]
    rows = {}
    for line in body.splitlines():
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        rows[name.replace("`", "")] = {
            column: _cell(cell) for column, cell in zip(columns, cells, strict=True) if cell
        }
    return rows


def _cell(text: str) -> Cell:
    statuses = tuple(map(int, text.split()))
    assert len(statuses) in (1, len(WHO)), text
    return statuses * len(WHO) if len(statuses) == 1 else statuses


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a column is about; `doomed` is a bundle to delete, `job` a checkout."""

    file: Version
    bundle: Version
    doomed: Version
    collection: Version
    job: str

    @property
    def uuids(self) -> tuple[str, ...]:
        """The UUIDs of what is in it."""
        return tuple(one.uuid for one in (self.file, self.bundle, self.doomed, self.collection))

    def absent(self) -> "Target":
        """Return one of which nothing exists, with the same versions."""
        return Target(
            file=replace(self.file, uuid=new_uuid()),
            bundle=replace(self.bundle, uuid=new_uuid()),
            doomed=replace(self.doomed, uuid=new_uuid()),
            collection=replace(self.collection, uuid=new_uuid()),
            job=new_uuid(),
        )


@dataclass(frozen=True, kw_only=True)
class World:
    """What is there, and who asks: `apis` by whether they hide managed data."""

    dss: Dss
    env: Mapping[str, str]
    apis: Mapping[bool, Api]
    tokens: Mapping[str, str | None]
    owner_email: str
    targets: Mapping[str, Target]
    file: Version
    source: str
    bucket: str
    _clients: dict[tuple[bool, str], Api] = field(default_factory=dict)

    @classmethod
    def make(cls, env: Mapping[str, str], dss: Dss, clouds: Clouds, apis: Mapping[bool, Api]) -> "World":
        """Put everything through the API, and bind it."""
        tokens = {
            "stranger": None,
            "signed in": request_token(env, _email()),
            "other": request_token(env, _email(), ["dss", "matrix-others"]),
            "reader": request_token(env, _email(), ["dss", READERS]),
            "owner": request_token(env, owner_email := _email(), ["dss", OWNERS]),
            "admin": env["DSS_ADMIN_TOKEN"],
        }
        owner = apis[False].signed_in(tokens["owner"])
        targets = {
            column: _target(dss, clouds, owner, _STATE.get(column, column))
            for column in (*_BINDINGS, *_STATE)
        }
        # Those that were purged are in no catalogue any more.
        for column in targets.keys() - {PURGED}:
            _put_into_catalogue(env, dss, targets[column])
        for uuid in targets[PURGED].uuids:
            declare(dss, new_purge(dss, uuid, "", reason="consent withdrawn", by="operator@example.org"))
        return cls(
            dss=dss,
            env=env,
            apis=apis,
            tokens=tokens,
            owner_email=owner_email,
            targets=targets,
            file=put_file(owner, clouds.stage("gcp", b"content of a file that everybody may read")),
            source=clouds.stage("gcp", b"content of later versions"),
            bucket=clouds.gcs.create_bucket(f"{_BUCKETS}{new_uuid()}").name,
        )

    def client(self, column: str, who: str) -> Api:
        """Return the client of somebody, of the API for a column."""
        key = (column == HIDDEN, who)
        if key not in self._clients:
            self._clients[key] = self.apis[key[0]].signed_in(self.tokens[who])
        return self._clients[key]

    def expendable(self, column: str) -> Target:
        """Return the target of a column, with a bundle and a collection to be deleted."""
        owner, like = self.client("public", "owner"), self.targets[column]
        doomed = put_bundle(owner, "gcp", [self.file.named("file")])
        bind(self.dss, doomed.uuid, **_BINDINGS[_STATE.get(column, column)])
        return replace(like, doomed=doomed, collection=put_collection(owner, "gcp", []))

    def new_subscription(self) -> str:
        """Return the UUID of a new subscription of the owner."""
        answer = self.client("public", "owner").put("/v1/subscriptions", replica="gcp", json=_SUBSCRIPTION)
        return str(answer.json()["uuid"])

    def new_import(self) -> str:
        """Return the UUID of a new import of the owner, which is listed."""
        catalog, source = self.dss.catalog.imports, self.source.rpartition("/")[0]
        order = ImportOrder(email=self.owner_email, groups=(OWNERS,), replica="gcp", source=f"{source}/")
        job = catalog.begin(new_uuid(), order, at_most=1000, at_most_each=1000)
        job = catalog.add_slice(job, 1, ListSlice(offsets={}), {"listed": True})
        catalog.end(job, JobState.SUCCEEDED)
        return job.id


def _email() -> str:
    return f"{new_uuid()}@example.org"


def bind(dss: Dss, uuid: str, **binding: object) -> None:
    """Bind a UUID, by fields of a binding."""
    change_binding(dss, uuid, "operator@example.org", lambda before: replace(before, **binding))


def _target(dss: Dss, clouds: Clouds, owner: Api, column: str) -> Target:
    file = put_file(owner, clouds.stage("gcp", new_uuid().encode()))
    bundle, doomed = (put_bundle(owner, "gcp", [file.named("file")]) for _ in range(2))
    collection = put_collection(owner, "gcp", [])
    if binding := _BINDINGS[column]:
        for one in (file, bundle, doomed):
            bind(dss, one.uuid, **binding)
    if column in _COLLECTION_READERS:
        bind(dss, collection.uuid, readers=frozenset((_COLLECTION_READERS[column],)))
    fqid = Fqid(bundle.uuid, bundle.version)
    head = dss.catalog.bundles.head(fqid)
    assert head
    order = CheckoutOrder(kind=Kind.BUNDLE, fqid=fqid, replica="gcp", bucket="bucket-of-a-reader")
    job = dss.catalog.checkouts.begin(order, readers=head.content_readers, at_most=100)
    return Target(file=file, bundle=bundle, doomed=doomed, collection=collection, job=job.id)


def _put_into_catalogue(env: Mapping[str, str], dss: Dss, target: Target) -> None:
    """Have the catalogue say that the bundle has the file, whose id there is its UUID."""
    file, fqid = target.file, Fqid(target.bundle.uuid, target.bundle.version)
    head = dss.catalog.bundles.head(fqid)
    assert head
    bundle = HcaBundle(f"metadata of {fqid}", project=f"project of {fqid}")
    bundle.document(bundle.file("file.txt"))["provenance"]["document_id"] = file.uuid
    bundle.files[0] |= {"uuid": file.uuid, "version": file.version}
    labels = labels_of(head.content_readers)
    with closing(open_catalogues(Settings.from_environment(env))) as store:
        [catalogue] = store.catalogues().values()
        said = Said.of(catalogue.plugin.contributions(replace(bundle.metadata(), fqid=fqid)))
        store.put(catalogue, BundleState(fqid=fqid, state=INDEXED, labels=labels, release="1", said=said))


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One request to be made."""

    world: World
    api: Api
    target: Target
    replica: str = "gcp"

    def get(self, path: str, **more: object) -> requests.Response:
        """Return the answer to a GET at the replica."""
        return self.api.get(f"/v1/{path}", replica=self.replica, **more)

    def send(self, method: str, path: str, **more: object) -> requests.Response:
        """Return the answer to a request at the replica."""
        return self.api.request(method, f"/v1/{path}", replica=self.replica, **more)


_SUBSCRIPTION = {"callback_url": "https://subscriber.example.org/hook", "jmespath_query": "event_type"}
_ABOUT = {"name": "name", "description": "about", "details": {}}


def _put_file(ask: Ask) -> requests.Response:
    body = {"source_url": ask.world.source, "creator_uid": 1}
    return ask.api.put(f"/v1/files/{ask.target.file.uuid}", version=now(), json=body)


def _put_many(ask: Ask) -> requests.Response:
    """Return the answer with the status of the file: the answer's own is 200 if the file is refused."""
    file = {"uuid": ask.target.file.uuid, "version": now(), "creator_uid": 1, "content": "Y29udGVudA=="}
    answer = ask.send("POST", "files/batch", json={"files": [file]})
    if answer.status_code == 200:
        # Of an answer in this process `json` is no method.
        [outcome] = json.loads(answer.text)["files"]
        answer.status_code = outcome["status"]
    return answer


def _put_bundle(ask: Ask, uuid: str, file: Version) -> requests.Response:
    body = {"files": [file.named("file")], "creator_uid": 1}
    return ask.send("PUT", f"bundles/{uuid}", version=now(), json=body)


def _patch_bundle(ask: Ask) -> requests.Response:
    old, body = ask.target.bundle, {"add_files": [ask.world.file.named(new_uuid())]}
    return ask.send("PATCH", f"bundles/{old.uuid}", version=old.version, json=body)


def _put_collection(ask: Ask, uuid: str, *contents: Mapping[str, object]) -> requests.Response:
    body = {**_ABOUT, "contents": list(contents)}
    return ask.send("PUT", "collections", uuid=uuid, version=now(), json=body)


def _put_links(ask: Ask) -> requests.Response:
    target = ask.target
    kinds = {"file": target.file, "bundle": target.bundle, "collection": target.collection}
    # One by one: each must be refused.
    answers = [_put_collection(ask, new_uuid(), one.linked(kind)) for kind, one in kinds.items()]
    assert len({answer.status_code for answer in answers}) == 1, [answer.text for answer in answers]
    return answers[-1]


def _patch_collection(ask: Ask) -> requests.Response:
    old = ask.target.collection
    return ask.send("PATCH", f"collections/{old.uuid}", version=old.version, json={"name": new_uuid()})


def _of_subscription(method: str, path: str = "", **query: str) -> Callable[[Ask], requests.Response]:
    return lambda ask: ask.send(method, f"subscriptions/{ask.world.new_subscription()}{path}", **query)


def _put_import(ask: Ask) -> requests.Response:
    path = f"/imports/{new_uuid()}"
    answer = ask.api.put(path, json={"source": ask.world.source.rpartition("/")[0]})
    if answer.status_code == 201:
        # Few may run at once.
        ask.api.delete(path)
    return answer


def _of_import(method: str, path: str = "") -> Callable[[Ask], requests.Response]:
    return lambda ask: ask.api.request(method, f"/imports/{ask.world.new_import()}{path}")


def _start_import(ask: Ask) -> requests.Response:
    path = f"/imports/{ask.world.new_import()}"
    answer = ask.api.post(f"{path}/start")
    if answer.status_code == 202:
        ask.api.delete(path)
    return answer


def _of_manifest(form: str) -> Callable[[Ask], requests.Response]:
    """Return what asks for a manifest, in a form, that the caller has had made."""

    def call(ask: Ask) -> requests.Response:
        # The answer names the manifest by a key that needs no sign-in.
        made = ask.api.put("/fetch/manifest/files", format="curl")
        job_id = parse_token(json.loads(made.text)["Location"].rpartition("/")[2]).job_id
        return ask.api.get(f"{form}/manifest/files/{ManifestToken(job_id)}")

    return call


def _in_bulk(ask: Ask, method: str, path: str, body: object) -> requests.Response:
    """Return the answer to a bulk request for one object, with the status that it has for this object."""
    answer = ask.api.request(method, f"{DRS_PATH}{path}", json=body)
    for unresolved in json.loads(answer.text).get("unresolved_drs_objects", ()):
        answer.status_code = unresolved["error_code"]
    return answer


CALLS: Mapping[str, Callable[[Ask], requests.Response]] = {
    "search.post": lambda ask: ask.send("POST", "search", json={"es_query": {"query": {"match_all": {}}}}),
    "files.head": lambda ask: ask.send("HEAD", f"files/{ask.target.file.uuid}"),
    "files.get": lambda ask: ask.get(f"files/{ask.target.file.uuid}"),
    "files.get with directurl": lambda ask: ask.get(f"files/{ask.target.file.uuid}", directurl=True),
    "files.put": _put_file,
    "files.put_many": _put_many,
    "bundles.list_all": lambda ask: ask.get("bundles/all", prefix=ask.target.bundle.uuid),
    "bundles.get": lambda ask: ask.get(f"bundles/{ask.target.bundle.uuid}"),
    "bundles.get with presignedurls": lambda ask: ask.get(
        f"bundles/{ask.target.bundle.uuid}", presignedurls=True, version=ask.target.bundle.version
    ),
    "bundles.get with directurls": lambda ask: ask.get(
        f"bundles/{ask.target.bundle.uuid}", directurls=True, version=ask.target.bundle.version
    ),
    "bundles.put": lambda ask: _put_bundle(ask, ask.target.bundle.uuid, ask.world.file),
    "bundles.put of a new one with the file": lambda ask: _put_bundle(ask, new_uuid(), ask.target.file),
    "bundles.patch": _patch_bundle,
    "bundles.delete": lambda ask: ask.send(
        "DELETE", f"bundles/{ask.target.doomed.uuid}", json={"reason": "test"}
    ),
    "checkout.post": lambda ask: ask.send(
        "POST", f"bundles/{ask.target.bundle.uuid}/checkout", version=ask.target.bundle.version, json={}
    ),
    "checkout.post with a destination": lambda ask: ask.send(
        "POST",
        f"bundles/{ask.target.bundle.uuid}/checkout",
        version=ask.target.bundle.version,
        json={"destination": ask.world.bucket},
    ),
    "checkout.get": lambda ask: ask.get(f"bundles/checkout/{ask.target.job}"),
    "events.list_journals": lambda ask: ask.get("events", from_date=now()),
    "events.read_journal without a token of events.list_journals": lambda ask: ask.get(
        "journals", token="of-nobody"
    ),
    "events.get": lambda ask: ask.get(f"events/{ask.target.bundle.uuid}", version=ask.target.bundle.version),
    "collections.list_own": lambda ask: ask.get("collections"),
    "collections.put": lambda ask: _put_collection(ask, ask.target.collection.uuid),
    "collections.put of a new one with links": _put_links,
    "collections.get": lambda ask: ask.get(f"collections/{ask.target.collection.uuid}"),
    "collections.patch": _patch_collection,
    "collections.delete": lambda ask: ask.send("DELETE", f"collections/{ask.target.collection.uuid}"),
    "imports.put": _put_import,
    "imports.get": _of_import("GET"),
    "imports.report": _of_import("GET", "/report"),
    "imports.start": _start_import,
    "imports.delete": _of_import("DELETE"),
    "subscriptions.list_own": lambda ask: ask.get("subscriptions", subscription_type="jmespath"),
    "subscriptions.put": lambda ask: ask.send("PUT", "subscriptions", json=_SUBSCRIPTION),
    "subscriptions.get": _of_subscription("GET", subscription_type="jmespath"),
    "subscriptions.delete": _of_subscription("DELETE", subscription_type="jmespath"),
    "subscriptions.deliveries": _of_subscription("GET", "/deliveries"),
    "subscriptions.test": _of_subscription("POST", "/test"),
    "subscriptions.replay": _of_subscription("POST", "/replay", from_date="2026-01-01T000000.000000Z"),
    "browse.home": lambda ask: ask.api.get("/browse"),
    "browse.list_entities": lambda ask: ask.api.get("/browse/files"),
    "browse.draw": lambda ask: ask.api.get("/browse/charts/files"),
    "browse.grow": lambda ask: ask.api.get("/browse/growth"),
    "browse.status": lambda ask: ask.api.get("/browse/status"),
    "browse.get_run": lambda ask: ask.api.get("/browse/status/runs/none"),
    "browse.list_bundles": lambda ask: ask.api.get("/browse/store"),
    "browse.list_values": lambda ask: ask.api.get("/browse/files/values/organ"),
    "browse.get_bundle": lambda ask: ask.api.get(f"/browse/bundles/{ask.target.bundle.uuid}"),
    "browse.compare": lambda ask: ask.api.get(
        f"/browse/bundles/{ask.target.bundle.uuid}/changes",
        **{"from": ask.target.bundle.version, "to": ask.target.bundle.version},
    ),
    "browse.get_file": lambda ask: ask.api.get(f"/browse/files/{ask.target.file.uuid}"),
    "browse.get_content": lambda ask: ask.api.get(f"/browse/files/{ask.target.file.uuid}/content"),
    # It is no image.
    "browse.get_image": lambda ask: ask.api.get(f"/browse/files/{ask.target.file.uuid}/image"),
    "browse.get_collection": lambda ask: ask.api.get(f"/browse/collections/{ask.target.collection.uuid}"),
    "browse.get_entity of a project": lambda ask: ask.api.get(f"/browse/projects/{new_uuid()}"),
    **ACCOUNT_CALLS,
    "explore.catalogs": lambda ask: ask.api.get("/index/catalogs"),
    "explore.sources": lambda ask: ask.api.get("/repository/sources"),
    "explore.integrations": lambda ask: ask.api.get(
        "/integrations", entity_type="projects", integration_type="get"
    ),
    "explore.health_of": lambda ask: ask.api.get("/health/fast"),
    "explore.health_of_all": lambda ask: ask.api.get("/health"),
    "explore.summary": lambda ask: ask.api.get("/index/summary"),
    "explore.list_entities": lambda ask: ask.api.get("/index/files", size=1),
    "explore.post_entities": lambda ask: ask.api.post("/index/files", json={"size": 1}),
    "explore.post_summary": lambda ask: ask.api.post("/index/summary", json={}),
    "explore.put_manifest": lambda ask: ask.api.put("/manifest/files"),
    "explore.fetch_new_manifest": lambda ask: ask.api.put("/fetch/manifest/files"),
    "explore.get_manifest": _of_manifest(""),
    "explore.fetch_manifest": _of_manifest("/fetch"),
    "explore.get_entity of the file": lambda ask: ask.api.get(f"/index/files/{ask.target.file.uuid}"),
    "explore.get_entity of the bundle": lambda ask: ask.api.get(f"/index/bundles/{ask.target.bundle.uuid}"),
    "explore.get_file": lambda ask: ask.api.get(f"/repository/files/{ask.target.file.uuid}"),
    "explore.fetch_file": lambda ask: ask.api.get(f"/fetch/repository/files/{ask.target.file.uuid}"),
    "explore.get_data_object": lambda ask: ask.api.get(f"/ga4gh/dos/v1/dataobjects/{ask.target.file.uuid}"),
    "drs.get": lambda ask: ask.get(f"ga4gh/drs/v1/objects/{ask.target.file.uuid}"),
    "drs.service_info": lambda ask: ask.api.get(f"{DRS_PATH}/service-info"),
    "drs.get_object": lambda ask: ask.api.get(f"{DRS_PATH}/objects/{ask.target.file}"),
    "drs.get_object of the bundle": lambda ask: ask.api.get(f"{DRS_PATH}/objects/{ask.target.bundle.uuid}"),
    "drs.get_object of the collection": lambda ask: ask.api.get(
        f"{DRS_PATH}/objects/{ask.target.collection}"
    ),
    "drs.post_object": lambda ask: ask.api.post(f"{DRS_PATH}/objects/{ask.target.file}", json={}),
    "drs.options_object": lambda ask: ask.api.request("OPTIONS", f"{DRS_PATH}/objects/{ask.target.file}"),
    "drs.get_access": lambda ask: ask.api.get(f"{DRS_PATH}/objects/{ask.target.file}/access/https.gcp"),
    "drs.post_access": lambda ask: ask.api.post(
        f"{DRS_PATH}/objects/{ask.target.file}/access/https.gcp", json={}
    ),
    "drs.post_objects of the file alone": lambda ask: _in_bulk(
        ask, "POST", "/objects", {"bulk_object_ids": [str(ask.target.file)]}
    ),
    "drs.options_objects of the file alone": lambda ask: _in_bulk(
        ask, "OPTIONS", "/objects", {"bulk_object_ids": [str(ask.target.file)]}
    ),
    "drs.post_accesses of the file alone": lambda ask: _in_bulk(
        ask,
        "POST",
        "/objects/access",
        {
            "bulk_object_access_ids": [
                {"bulk_object_id": str(ask.target.file), "bulk_access_ids": ["https.gcp"]}
            ]
        },
    ),
}
