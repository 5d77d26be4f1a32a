"""What the catalogue records of a bundle version, from its head and its metadata document."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from shared.access import labels_of
from shared.catalog import BundleHead
from shared.catalogue_indexing import Indexer, transform
from shared.clock import SystemClock
from shared.errors import TooManyUnderWay, Unavailable
from shared.explore.audiences import TooManyAudiences
from shared.explore.base import DELETED, FAILED, INDEXED, LEFT_OUT, WITHDRAWN, BundleState
from shared.explore.catalogues import Catalogue
from shared.explore.hca.plugin import HcaPlugin
from shared.explore.settings import CatalogueSetting
from shared.group_names import group_name
from shared.identifiers import document_key
from shared.stores.signed_urls import SignedUrls
from tests.support.catalogue import ANYBODY
from tests.support.hca_sample import HcaBundle, sequenced
from tests.support.memory_store import MemoryStore

CATALOGUE = Catalogue(1, CatalogueSetting(name="c", plugin="hca"), HcaPlugin(host="dss.example"))


def document_of(bundle: HcaBundle, **more: Any) -> bytes:
    """Return the metadata document of a bundle, as `index` makes it."""
    metadata = bundle.metadata()
    groups: dict[str, list[Any]] = {}
    left_out = {row["name"] for row in more.get("left_out", ())}
    for name, content in metadata.documents.items():
        if name not in left_out:
            groups.setdefault(group_name(name), []).append(content)
    files = [
        {**entry, "content-type": "application/json"} if entry["indexed"] else entry
        for entry in metadata.files
    ]
    return json.dumps({"manifest": {"files": files}, "files": groups, **more}).encode()


def recorded(bundle: HcaBundle, **more: Any) -> BundleState:
    return transform(CATALOGUE, bundle.fqid, document_of(bundle, **more), ANYBODY)


def test_a_bundle_is_indexed_with_the_labels_of_its_readers() -> None:
    bundle = sequenced()

    state = recorded(bundle)

    assert (state.fqid, state.state, state.labels, state.reason) == (bundle.fqid, INDEXED, ANYBODY, "")
    assert state.said
    assert ("bundles", bundle.fqid.uuid) in state.said.keys


def test_a_bundle_without_a_project_is_left_out() -> None:
    bundle = sequenced()
    bundle.documents["notes.json"] = bundle.documents.pop("project_0.json")

    assert recorded(bundle).state == LEFT_OUT


def test_json_that_is_data_is_not_read_as_metadata() -> None:
    bundle = sequenced()
    document = json.loads(document_of(bundle))
    document["manifest"]["files"].append(
        {"name": "codes.json", "indexed": False, "content-type": "application/json"}
    )
    document["files"]["codes_json"] = [["no", "metadata"]]

    state = transform(CATALOGUE, bundle.fqid, json.dumps(document).encode(), ANYBODY)

    assert state.state == INDEXED


def test_a_metadata_file_that_was_too_large_fails_the_bundle_by_name() -> None:
    left_out = [{"name": "project_0.json", "reason": "larger than 4194304 bytes"}]

    state = recorded(sequenced(), left_out=left_out)

    assert (state.state, state.reason) == (
        FAILED,
        "project_0.json: could not be read: larger than 4194304 bytes",
    )


@pytest.mark.parametrize("key", ["a\0b", "\ud800", "||", "k" * 5000])
def test_a_reason_can_be_stored_whatever_the_file_holds(key: str) -> None:
    bundle = sequenced()
    bundle.documents["project_0.json"][key] = {key: "a||b"}

    state = recorded(bundle)

    assert state.state == FAILED
    assert "project_0.json: " in state.reason
    assert len(state.reason.encode()) < 2500
    assert "\0" not in state.reason


def test_a_plug_in_that_breaks_fails_the_bundle_alone() -> None:
    class Broken(HcaPlugin):
        def contributions(self, bundle: Any) -> Any:
            raise ZeroDivisionError("by \0")

    bundle = sequenced()
    broken = replace(CATALOGUE, plugin=Broken(host="h"))

    state = transform(broken, bundle.fqid, document_of(bundle), ANYBODY)

    assert state.state == FAILED
    assert "the plug-in hca has failed: ZeroDivisionError" in state.reason


class Recorder:
    """A store that keeps what it is given; `refuse` may raise."""

    def __init__(self, refuse: Callable[[BundleState], None]) -> None:
        self.put_states: list[BundleState] = []
        self._refuse = refuse

    def catalogues(self) -> dict[str, Catalogue]:
        return {"c": CATALOGUE}

    def put(self, catalogue: Catalogue, state: BundleState) -> bool:
        assert catalogue is CATALOGUE
        self._refuse(state)
        self.put_states.append(state)
        return True


def accept(_: BundleState) -> None:
    """Refuse nothing."""


def indexer(
    bundle: HcaBundle, recorder: Recorder, *heads: BundleHead | None, digests: Sequence[str] = ("d",)
) -> Indexer:
    """Return an indexer of a system with one bundle.

    Its head is each of `heads` in turn, then the last, and the digest of its document each of `digests`.
    """
    store = MemoryStore(SignedUrls(base="", key=bytes(32), clock=SystemClock()), "bucket")
    store.create("bucket", document_key(bundle.fqid, dead=False), document_of(bundle), "application/json")
    replica = SimpleNamespace(name="gcp", bucket="bucket", store=store)
    coming = list(heads)
    bundles = SimpleNamespace(head=lambda _: coming.pop(0) if len(coming) > 1 else coming[0])
    coming_digests = list(digests)
    events = SimpleNamespace(
        get_many=lambda _: {
            "e": SimpleNamespace(
                digest=coming_digests.pop(0) if len(coming_digests) > 1 else coming_digests[0]
            )
        }
    )
    dss: Any = SimpleNamespace(
        catalogues=recorder,
        catalog=SimpleNamespace(bundles=bundles, events=events),
        replicas=SimpleNamespace(named=lambda _: replica),
    )
    return Indexer(dss)


def head_of(bundle: HcaBundle, **more: Any) -> BundleHead:
    return BundleHead(fqid=bundle.fqid, creator_uid=1, file_count=1, digest="", **more)


def test_a_hidden_bundle_is_deleted_and_one_to_be_purged_withdrawn() -> None:
    bundle = sequenced()
    for head, state in [
        (head_of(bundle, hidden=True), DELETED),
        (head_of(bundle, hidden=True, purged=True), DELETED),
        (head_of(bundle, purged=True), WITHDRAWN),
        (None, WITHDRAWN),
    ]:
        recorder = Recorder(accept)

        assert indexer(bundle, recorder, head).index("gcp", bundle.fqid)["c"].state == state
        assert [(each.state, each.said) for each in recorder.put_states] == [(state, None)]


def test_a_bundle_of_another_replica_is_in_no_catalogue() -> None:
    bundle = sequenced()
    recorder = Recorder(accept)

    assert indexer(bundle, recorder, head_of(bundle)).index("aws", bundle.fqid) == {}
    assert recorder.put_states == []


def test_a_change_of_readers_while_it_is_indexed_is_not_lost() -> None:
    bundle = sequenced()
    before, after = head_of(bundle), head_of(bundle, readers=frozenset(("lab",)))
    recorder = Recorder(accept)

    assert indexer(bundle, recorder, before, after).index("gcp", bundle.fqid)["c"].state == INDEXED

    assert [each.labels for each in recorder.put_states] == [ANYBODY, labels_of(("lab",))]


def test_a_purge_of_a_file_while_it_is_indexed_is_not_lost() -> None:
    bundle = sequenced()
    recorder = Recorder(accept)
    found = indexer(bundle, recorder, head_of(bundle), digests=["with the file", "without"])

    assert found.index("gcp", bundle.fqid)["c"].state == INDEXED

    # Read again once the document was replaced.
    assert len(recorder.put_states) == 2


def test_a_failure_looks_at_the_head_again_and_follows_a_purge() -> None:
    bundle = sequenced()
    recorder = Recorder(accept)

    indexer(bundle, recorder, head_of(bundle), head_of(bundle, purged=True)).fail("gcp", bundle.fqid, "x")

    assert [each.state for each in recorder.put_states] == [FAILED, WITHDRAWN]


def test_readers_that_never_stop_changing_are_left_to_a_later_attempt() -> None:
    bundle = sequenced()
    heads = [head_of(bundle, readers=frozenset((f"lab-{number}",))) for number in range(100)]

    with pytest.raises(TooManyUnderWay):
        indexer(bundle, Recorder(accept), *heads).index("gcp", bundle.fqid)


@pytest.mark.parametrize(
    "error", [TooManyAudiences("too many readers"), ValueError("numeric field overflow")]
)
def test_a_bundle_that_cannot_be_stored_has_failed(error: Exception) -> None:
    bundle = sequenced()

    def refuse(state: BundleState) -> None:
        if state.state == INDEXED:
            raise error

    recorder = Recorder(refuse)

    assert indexer(bundle, recorder, head_of(bundle)).index("gcp", bundle.fqid)["c"].state == FAILED

    [state] = recorder.put_states
    assert (state.state, state.labels) == (FAILED, ANYBODY)
    assert str(error) in state.reason


def test_a_store_that_is_away_fails_no_bundle() -> None:
    bundle = sequenced()

    def refuse(_: BundleState) -> None:
        raise Unavailable("the index cannot be reached")

    with pytest.raises(Unavailable):
        indexer(bundle, Recorder(refuse), head_of(bundle)).index("gcp", bundle.fqid)
