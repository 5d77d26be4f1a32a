"""A system that is filled with any number of everything, and what each call of it costs then.

The catalog is filled by documents that are written directly, in the form of those that the API has made: no
bytes are moved, and 100,000 of a kind take a minute. What is counted are operations that the clouds bill, so
that the emulator's time has no meaning.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from dss.tokens import fetch_local
from shared.catalog.database import new_shard
from shared.events.publishing import event_of, publish_event
from shared.identifiers import Fqid, version_of
from shared.maintenance.sweep import backlogs, unjournalled, unpublished
from shared.messages import ObjectEvent
from shared.replication import replicate
from shared.search.base import IndexEntry
from shared.search.firestore.rows import row_of
from shared.search.postings import Postings
from shared.system import Dss
from tests.support.apart import set_apart
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_collection, put_file
from tests.support.clouds import Clouds
from tests.support.dss import firestore_client, open_dss_for_threads
from tests.support.metered_api import Bill, MeteredApi, metered_api

REPLICA = "gcp"
# What is many: the call's cost is measured with so many of it, while all the rest is as many, too.
VERSIONS, STORE, EVENTS = "versions of it", "files and bundles in the store", "events in the journal"
SUBSCRIPTIONS, COLLECTIONS = "subscriptions of others", "collections of the caller"
ROWS, HITS, JOBS = "bundles in the index", "bundles that match", "checkouts under way"
BACKLOG = "objects that a replica lacks"

# Firestore: 10 MiB a commit; these documents have less than 2 KiB.
_COMMIT = 500
_BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
_QUERY_ALL = {"query": {"match": {"files.species": "human"}}}
_QUERY_RARE = {
    "query": {
        "bool": {"must": [{"match": {"files.species": "human"}}, {"match": {"files.smokes": "yes"}}]},
    }
}
_RARE = 10
# More than a page of the lists here has, with what shows that there is another page.
_FULL_PAGE = 12
_CALLBACK = "https://example.org/callback"


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call to measure, and what its cost might grow with. `prepare` returns the call itself."""

    name: str
    many: str
    prepare: Callable[[], Callable[[], object]] = field(compare=False)


class Grown:
    """A system of its own on the servers of another one; `fill` makes it larger, `costs` measures calls."""

    def __init__(self, env: Mapping[str, str], metered: MeteredApi) -> None:
        self._env, self._metered, self._api = env, metered, metered.api
        self._client = firestore_client(env)
        self._dss = open_dss_for_threads(env)
        # Its requests are counted with those of the API.
        self._counted = open_dss_for_threads(
            {
                **env,
                "FIRESTORE_EMULATOR_HOST": metered.firestore.address,
                "STORAGE_EMULATOR_HOST": metered.gcs.url,
                "AWS_ENDPOINT_URL": metered.s3.url,
            }
        )
        self._owner = self._somebody()
        self._source = Clouds(env).stage(REPLICA, b"content")
        self._file = put_file(self._api, self._source)
        self._bundle = put_bundle(self._api, REPLICA, [self._file.named("name")])
        self._replicated = put_bundle(self._api, REPLICA, [])
        self._collection = put_collection(self._owner, REPLICA, [])
        self._filled = 0

    def fill(self, count: int) -> None:
        """Have `count` of everything, besides the few that fill a page of any list; there are fewer now."""
        numbers = range(self._filled, count + _FULL_PAGE)
        self._filled = count + _FULL_PAGE
        versions = [version_of(_BEGIN + timedelta(seconds=number)) for number in numbers]
        for kind, original in (("files", self._file), ("bundles", self._bundle)):
            self._copy(kind, original, [Version(original.uuid, version) for version in versions])
            self._copy(kind, original, [Version(new_uuid(), original.version) for _ in numbers])
        self._copy_owned([new_uuid() for _ in numbers])
        self._append(versions)
        self._subscribe([new_uuid() for _ in numbers])
        self._index([*numbers])
        self._begin_checkouts([new_uuid() for _ in numbers])

    def costs(self) -> Iterator[tuple[Call, Bill]]:
        """Yield each call with its bill, the smaller of two: at times a call looks at groups, too."""
        for call in self._calls():
            bills = []
            for _ in range(2):
                made = call.prepare()
                with self._metered.usage() as usage:
                    made()
                bills.append(usage.bill)
            yield call, min(bills, key=lambda bill: (bill.requests, bill.reads))

    def _calls(self) -> Iterator[Call]:
        yield from self._file_calls()
        yield from self._bundle_calls()
        yield from self._other_calls()
        yield from self._function_calls()

    def _file_calls(self) -> Iterator[Call]:
        path, source = f"/v1/files/{self._file.uuid}", self._source
        for version in (None, self._file.version):
            name = "version" if version else "newest"
            for method in ("HEAD", "GET"):
                request = self._request(method, path, replica=REPLICA, version=version)
                yield Call(name=f"{method} file, {name}", many=VERSIONS, prepare=request)
        body = {"source_url": source, "creator_uid": 1}
        yield Call(
            name="PUT file, a version more",
            many=VERSIONS,
            prepare=lambda: self._request("PUT", path, version=now(), json=body)(),
        )
        yield Call(
            name="PUT file, a new one",
            many=STORE,
            prepare=lambda: self._request("PUT", f"/v1/files/{new_uuid()}", version=now(), json=body)(),
        )

    def _bundle_calls(self) -> Iterator[Call]:
        path, files = f"/v1/bundles/{self._bundle.uuid}", [self._file.named("name")]
        body = {"files": files, "creator_uid": 1}
        yield Call(
            name="GET bundle, newest", many=VERSIONS, prepare=self._request("GET", path, replica=REPLICA)
        )
        yield Call(
            name="PUT bundle, a version more",
            many=VERSIONS,
            prepare=lambda: self._request("PUT", path, replica=REPLICA, version=now(), json=body)(),
        )
        yield Call(
            name="PUT bundle, a new one",
            many=STORE,
            prepare=lambda: self._request(
                "PUT", f"/v1/bundles/{new_uuid()}", replica=REPLICA, version=now(), json=body
            )(),
        )
        yield Call(name="PATCH bundle", many=VERSIONS, prepare=self._patch)
        yield Call(name="DELETE bundle, a version", many=VERSIONS, prepare=self._delete)
        for name, prefix in (("a page of all", None), ("those of a prefix", self._bundle.uuid[:8])):
            request = self._request("GET", "/v1/bundles/all", replica=REPLICA, per_page=10, prefix=prefix)
            yield Call(name=f"GET bundles/all, {name}", many=STORE, prepare=request)
        yield Call(
            name="DRS object, newest",
            many=VERSIONS,
            prepare=self._request("GET", f"/ga4gh/drs/v1/objects/{self._file.uuid}"),
        )

    def _other_calls(self) -> Iterator[Call]:
        owner, collection = self._owner, f"/v1/collections/{self._collection.uuid}"
        yield Call(
            name="GET collections, a page",
            many=COLLECTIONS,
            prepare=self._request("GET", "/v1/collections", owner, per_page=10),
        )
        yield Call(
            name="GET collection, newest",
            many=COLLECTIONS,
            prepare=self._request("GET", collection, owner, replica=REPLICA),
        )
        yield Call(
            name="PUT collection",
            many=COLLECTIONS,
            prepare=lambda: lambda: put_collection(owner, REPLICA, []),
        )
        yield Call(
            name="GET events, the first page",
            many=EVENTS,
            prepare=self._request("GET", "/v1/events", replica=REPLICA, per_page=10),
        )
        yield Call(
            name="GET events, the last page",
            many=EVENTS,
            prepare=self._request(
                "GET",
                "/v1/events",
                replica=REPLICA,
                per_page=10,
                from_date=version_of(_BEGIN + timedelta(seconds=self._filled - _FULL_PAGE)),
            ),
        )
        subscriptions = {"replica": REPLICA, "subscription_type": "jmespath"}
        yield Call(
            name="GET subscriptions, the caller's",
            many=SUBSCRIPTIONS,
            prepare=lambda: self._request("GET", "/v1/subscriptions", self._somebody(), **subscriptions)(),
        )
        yield Call(
            name="PUT subscription",
            many=SUBSCRIPTIONS,
            prepare=lambda: self._request(
                "PUT",
                "/v1/subscriptions",
                self._somebody(),
                replica=REPLICA,
                json={"callback_url": _CALLBACK},
            )(),
        )
        for name, query, many in (("all match", _QUERY_ALL, HITS), ("ten of them match", _QUERY_RARE, ROWS)):
            search = self._request(
                "POST", "/v1/search", replica=REPLICA, per_page=10, json={"es_query": query}
            )
            yield Call(name=f"POST search, {name}", many=many, prepare=search)

    def _function_calls(self) -> Iterator[Call]:
        yield Call(
            name="sync: a bundle is replicated",
            many=STORE,
            prepare=lambda: self._on_new_bundle(replicate),
        )
        yield Call(
            name="index: an event is published",
            many=EVENTS,
            prepare=lambda: self._on_new_bundle(publish_event),
        )
        yield Call(name="sweep: a backlog is measured", many=BACKLOG, prepare=lambda: self._measure)
        yield Call(
            name="checkout: those under way are counted",
            many=JOBS,
            prepare=lambda: self._counted.catalog.checkouts.under_way,
        )

    def _request(
        self, method: str, path: str, api: Api | None = None, **more: Any
    ) -> Callable[[], Callable[[], object]]:
        def request() -> None:
            answer = (api or self._api).request(method, path, **more)
            assert answer.status_code < 400, answer.text

        return lambda: request

    def _patch(self) -> Callable[[], object]:
        body = {"add_files": [self._file.named(new_uuid())]}
        path = f"/v1/bundles/{self._bundle.uuid}"
        return self._request("PATCH", path, replica=REPLICA, version=self._bundle.version, json=body)()

    def _delete(self) -> Callable[[], object]:
        version = put_bundle(self._api, REPLICA, [], bundle=Version(self._bundle.uuid, now())).version
        return self._request(
            "DELETE",
            f"/v1/bundles/{self._bundle.uuid}",
            self._metered.admin,
            replica=REPLICA,
            version=version,
            json={"reason": "growth"},
        )()

    def _on_new_bundle(self, work: Callable[[Dss, ObjectEvent], object]) -> Callable[[], object]:
        bundle = put_bundle(self._api, REPLICA, [])
        bucket = self._dss.replicas.named(REPLICA).bucket
        event = ObjectEvent(replica=REPLICA, bucket=bucket, key=f"bundles/{bundle}")
        return lambda: work(self._counted, event)

    def _measure(self) -> None:
        for measured in (backlogs, unpublished, unjournalled):
            for _ in measured(self._counted):
                pass

    def _write(self, collection: str, documents: Iterator[tuple[str, dict[str, Any]]]) -> None:
        """Write documents, without any of the proxies."""
        rows, reference = [*documents], self._client.collection(collection)

        def write(start: int) -> None:
            batch = self._client.batch()
            for name, document in rows[start : start + _COMMIT]:
                batch.set(reference.document(name), document)
            batch.commit()

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(write, range(0, len(rows), _COMMIT)))

    def _original(self, collection: str, name: str) -> dict[str, Any]:
        document: dict[str, Any] = self._client.collection(collection).document(name).get().to_dict()
        return document

    def _copy(self, kind: str, original: Version, copies: list[Version]) -> None:
        """Write heads like an original, which one replica lacks."""
        document = {**self._original(kind, str(original)), "missing": ["aws"], "available": ["gcp"]}
        own = [
            {"uuid": copy.uuid, "version": copy.version, "fqid": str(copy), "shard": new_shard()}
            for copy in copies
        ]
        self._write(kind, ((row["fqid"], {**document, **row}) for row in own))

    def _copy_owned(self, uuids: list[str]) -> None:
        document = self._original("owned_collections", self._collection.uuid)
        self._write("owned_collections", ((uuid, {**document, "uuid": uuid}) for uuid in uuids))

    def _append(self, versions: list[str]) -> None:
        events = [
            replace(event_of(REPLICA, Fqid(new_uuid(), version), b"", dead=False), timestamp=version)
            for version in versions
        ]
        self._dss.catalog.events.restore(REPLICA, events)

    def _subscribe(self, uuids: list[str]) -> None:
        body = {"callback_url": _CALLBACK}
        answer = self._somebody().put("/v1/subscriptions", replica=REPLICA, json=body)
        document = self._original("subscriptions", answer.json()["uuid"])
        rows = ((uuid, {**document, "owner": f"{uuid}@example.org"}) for uuid in uuids)
        self._write("subscriptions", rows)

    def _somebody(self) -> Api:
        """Return a client of somebody who has nothing yet."""
        url, email = self._env["DSS_LOCAL_TOKEN_URL"], f"{new_uuid()}@example.org"
        return self._api.signed_in(fetch_local(url, email=email, group="dss", seconds=3600))

    def _index(self, numbers: list[int]) -> None:
        """Index bundles of people, ten of whom smoke; with the postings of that alone."""
        hashed = Postings(REPLICA)
        asked = {
            hashed.of_token(path, word)
            for path, word in (("files.species", "human"), ("files.smokes", "yes"))
        }
        rows = []
        for number in numbers:
            document = {"files": {"species": "human", "smokes": "yes" if number < _RARE else "no"}}
            row = row_of(IndexEntry(replica=REPLICA, fqid=Fqid(new_uuid(), now()), document=document))
            kept = [posting for posting in row.fields["postings"] if posting in asked]
            rows.append((row.name, {**row.fields, "postings": kept}))
        self._write("index_rows", iter(rows))

    def _begin_checkouts(self, uuids: list[str]) -> None:
        """Have checkouts of others under way, as far as those are counted."""
        self._write("checkout_jobs", ((uuid, {"state": "RUNNING", "requester": uuid}) for uuid in uuids))


@contextlib.contextmanager
def grown(stack: Mapping[str, str]) -> Iterator[Grown]:
    """Yield such a system, empty but for one of each."""
    env = {**set_apart(stack), "DSS_INDEX": "firestore"}
    with metered_api(env) as metered:
        yield Grown({**env, "DSS_URL": metered.process.url}, metered)
        metered.process.kill()
