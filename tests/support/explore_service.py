"""The catalogue's service over HTTP, on catalogues of the tests' own, and what puts bundles into them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests

from local.api import api_process
from local.issuer.client import request_token
from shared.access import labels_of
from shared.catalogue_indexing import Indexer
from shared.explore.base import FAILED, INDEXED, BundleState
from shared.explore.bundle_metadata import BundleMetadata, Json
from shared.explore.catalogues import Catalogue
from shared.explore.changes import Said
from shared.identifiers import Fqid
from shared.maintenance.catalogue_reindex import BUCKET, READS
from shared.messages import BUNDLE_CHANGES, BUNDLE_EVENTS
from shared.system import Dss
from tests.support.api import Api, Version, new_uuid, put_bundle, put_file
from tests.support.clouds import Clouds
from tests.support.dss import open_dss_for_threads
from tests.support.hca_sample import HcaBundle
from tests.support.topics import make_topics

_METADATA = 'application/json; dcp-type="metadata"'


@dataclass(frozen=True)
class ExploreService:
    """A client of the service; `api` asks as nobody, and `writer` is somebody who may write."""

    api: Api
    env: Mapping[str, str]
    dss: Dss

    @property
    def writer(self) -> Api:
        """The API, asked by somebody who may write."""
        return self.api.signed_in(self.env["DSS_TOKEN"])

    @property
    def admin(self) -> Api:
        """The API, asked by an admin."""
        return self.api.signed_in(self.env["DSS_ADMIN_TOKEN"])

    def member(self, *groups: str) -> Api:
        """Return the API, asked by a member of groups."""
        return self.api.signed_in(request_token(self.env, f"{new_uuid()}@example.org", groups))

    def get(self, path: str, *, by: Api | None = None, filters: Json = None, **query: Any) -> Any:
        """Return the JSON of an answer, which is 200."""
        if filters is not None:
            query["filters"] = json.dumps(filters)
        answer = (by or self.api).get(path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def pages(self, path: str, **query: Any) -> Iterator[Any]:
        """Yield a page, and all that follow it."""
        page = self.get(path, **query)
        yield page
        while page["pagination"]["next"]:
            page = self.get(page["pagination"]["next"])
            yield page

    def catalogue(self, name: str) -> Catalogue:
        """Return a catalogue."""
        return self.dss.catalogues.catalogues()[name]

    def put(self, name: str, bundle: BundleMetadata, *readers: str) -> Fqid:
        """Bring a bundle that is not in the store into a catalogue, for some readers, or for everybody."""
        catalogue = self.catalogue(name)
        said = Said.of(catalogue.plugin.contributions(bundle))
        state = BundleState(
            fqid=bundle.fqid, state=INDEXED, labels=labels_of(readers), release="1", said=said
        )
        self.dss.catalogues.put(catalogue, state)
        return bundle.fqid

    def fail(self, name: str, fqid: Fqid, reason: str) -> None:
        """Record that a bundle can't be indexed."""
        state = BundleState(fqid=fqid, state=FAILED, labels=labels_of(()), release="1", reason=reason)
        self.dss.catalogues.put(self.catalogue(name), state)

    def upload(self, clouds: Clouds, bundle: HcaBundle) -> Fqid:
        """PUT a bundle, its files included."""
        items = []
        for entry in bundle.files:
            file = Version(entry["uuid"], entry["version"])
            put_file(self.writer, clouds.stage("gcp", b"x" * entry["size"]), file=file)
            items.append(file.named(entry["name"]))
        for name, document in bundle.documents.items():
            content = json.dumps(document).encode()
            file = put_file(self.writer, clouds.stage("gcp", content, content_type=_METADATA))
            items.append(file.named(name, indexed=True))
        put_bundle(self.writer, "gcp", items, bundle=Version(bundle.fqid.uuid, bundle.fqid.version))
        return bundle.fqid

    def index(self, name: str, fqid: Fqid) -> str:
        """Bring a bundle of the store into a catalogue, as the function `explore` does; return its state."""
        outcomes = Indexer(self.dss, READS[BUCKET]).index_into([self.catalogue(name)], fqid)
        return outcomes[name].state


@contextmanager
def explore_service(env: Mapping[str, str], *names: str, **settings: str) -> Iterator[ExploreService]:
    """Run an API with HCA catalogues on a running system; the first is the default one."""
    catalogues = json.dumps([{"name": name, "plugin": "hca"} for name in names])
    own = {"DSS_CATALOGUES": catalogues, **settings}
    make_topics(env, BUNDLE_EVENTS, BUNDLE_CHANGES)
    with api_process(env, own) as process:
        yield ExploreService(Api(process.url), env, open_dss_for_threads({**env, **own}))


def assert_refused(answer: requests.Response, status: int, *words: str) -> None:
    """Fail unless an answer is an error in the predecessor's form, with these words."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    error = answer.json()
    assert error.keys() == {"Code", "Message"}
    codes = {400: "BadRequestError", 401: "UnauthorizedError", 403: "ForbiddenError", 404: "NotFoundError"}
    codes |= {410: "GoneError", 500: "ChaliceViewError"}
    assert error["Code"] == codes[status]
    for word in words:
        assert word in error["Message"], error
