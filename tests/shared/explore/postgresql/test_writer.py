"""Rules of indexing: what is in the catalogue depends on what there is, and not on how it came about."""

from typing import Any

import pytest
from psycopg.errors import ProgramLimitExceeded

from shared.access import labels_of
from shared.explore import audiences
from shared.explore.audiences import TooManyAudiences
from shared.explore.base import DELETED, FAILED, INDEXED, WITHDRAWN, BundleState
from shared.explore.bundle_metadata import BundleMetadata
from shared.explore.postgresql import documents
from tests.support.catalogue import ANYBODY, Labels, TestCatalogue
from tests.support.hca_sample import id_of, sequenced

OLDER, NEWER = "2024-03-01T120000.000000Z", "2024-03-02T120000.000000Z"
LAB, OTHER_LAB = labels_of(("lab",)), labels_of(("other-lab",))


pytestmark = pytest.mark.usefixtures("kept")


def metadata(*arguments: str, **more: Any) -> BundleMetadata:
    return sequenced(*arguments, **more).metadata()


def states_of(catalogue: TestCatalogue) -> dict[str, str]:
    return {each.fqid.version: each.state for each in catalogue.store.upkeep.held(catalogue.catalogue)}


def organ_of(catalogue: TestCatalogue, sought: Labels | None = ANYBODY) -> Any:
    document = catalogue.document("samples", id_of("specimen"), sought)
    return document and document["contents"]["samples"][0]["organ"]


def test_a_duplicate_changes_nothing(catalogue: TestCatalogue) -> None:
    bundle = metadata()
    assert catalogue.put(bundle)
    before = catalogue.tables() | catalogue.large_tables()

    assert not catalogue.put(bundle)

    assert catalogue.tables() | catalogue.large_tables() == before


def test_a_deletion_leaves_nothing_and_is_final(catalogue: TestCatalogue) -> None:
    bundle = metadata()
    catalogue.put(bundle)

    assert catalogue.delete(bundle.fqid)

    assert catalogue.is_empty()
    assert not catalogue.put(bundle)
    assert not catalogue.delete(bundle.fqid)
    assert catalogue.is_empty()
    assert states_of(catalogue) == {OLDER: DELETED}


def test_a_deletion_that_comes_first_is_not_undone_by_the_addition(catalogue: TestCatalogue) -> None:
    bundle = metadata()
    catalogue.delete(bundle.fqid)

    assert not catalogue.put(bundle)

    assert catalogue.is_empty()


def test_a_newer_version_replaces_the_older_and_its_deletion_falls_back(
    catalogue: TestCatalogue, another: TestCatalogue
) -> None:
    older, newer = metadata("a", OLDER, organ="fin"), metadata("a", NEWER, organ="eye", specimen="other")
    another.put(older)
    catalogue.put(older)

    catalogue.put(newer)

    assert catalogue.ids("samples") == [id_of("other")]
    assert catalogue.document("bundles", older.fqid.uuid)["bundles"] == [
        {"uuid": older.fqid.uuid, "version": NEWER}
    ]
    catalogue.delete(newer.fqid)
    assert catalogue.tables() == another.tables()
    assert organ_of(catalogue) == "fin"


def test_an_older_version_that_comes_late_is_kept_for_later(
    catalogue: TestCatalogue, another: TestCatalogue
) -> None:
    older, newer = metadata("a", OLDER, organ="fin"), metadata("a", NEWER, organ="eye")
    another.put(newer)
    catalogue.put(newer)

    catalogue.put(older)

    assert catalogue.tables() == another.tables()
    catalogue.delete(newer.fqid)
    assert organ_of(catalogue) == "fin"


def test_a_newer_version_that_has_failed_leaves_the_older(catalogue: TestCatalogue) -> None:
    older, newer = metadata("a", OLDER), metadata("a", NEWER)
    catalogue.put(older)
    before = catalogue.tables()

    catalogue.store.put(
        catalogue.catalogue,
        BundleState(fqid=newer.fqid, state=FAILED, labels=ANYBODY, release="1", reason="links.json: links"),
    )

    assert catalogue.tables() == before
    [failed] = catalogue.store.upkeep.held(catalogue.catalogue, only_failed=True)
    assert (failed.fqid, failed.reason) == (newer.fqid, "links.json: links")
    # Once it can be read it is shown.
    catalogue.put(newer)
    assert catalogue.document("bundles", newer.fqid.uuid)["bundles"][0]["version"] == NEWER
    assert not list(catalogue.store.upkeep.held(catalogue.catalogue, only_failed=True))


def test_a_bundle_that_was_indexed_and_fails_now_is_gone(catalogue: TestCatalogue) -> None:
    bundle = metadata()
    catalogue.put(bundle)

    catalogue.store.put(catalogue.catalogue, BundleState(fqid=bundle.fqid, state=FAILED, reason="x"))

    assert catalogue.is_empty()


def test_a_withdrawn_bundle_may_come_back(catalogue: TestCatalogue) -> None:
    bundle = metadata()
    catalogue.put(bundle)
    before = catalogue.tables()

    catalogue.store.put(catalogue.catalogue, BundleState(fqid=bundle.fqid, state=WITHDRAWN))

    assert catalogue.is_empty()
    catalogue.put(bundle)
    assert catalogue.tables() == before


def test_what_is_forgotten_may_be_indexed_again(catalogue: TestCatalogue) -> None:
    bundle, other = metadata("a"), metadata("b")
    catalogue.put(other)
    before = catalogue.tables()
    catalogue.put(bundle)
    after = catalogue.tables()
    catalogue.delete(bundle.fqid)

    catalogue.store.forget(catalogue.catalogue, [bundle.fqid])

    assert catalogue.tables() == before
    assert catalogue.store.state(catalogue.catalogue, bundle.fqid) is None
    catalogue.put(bundle)
    assert catalogue.tables() == after


def test_a_specimen_of_two_bundles_loses_only_what_the_deleted_one_said(
    catalogue: TestCatalogue, another: TestCatalogue
) -> None:
    one, other = metadata("a"), metadata("b")
    another.put(one)
    catalogue.put(one)
    catalogue.put(other)
    document = catalogue.document("samples", id_of("specimen"))
    assert document["cell_count"] == 200
    assert [each["uuid"] for each in document["bundles"]] == sorted([one.fqid.uuid, other.fqid.uuid])

    catalogue.delete(other.fqid)

    assert catalogue.tables() == another.tables()
    assert catalogue.document("samples", id_of("specimen"))["cell_count"] == 100


def test_an_addition_that_says_nothing_new_still_lists_the_bundle(catalogue: TestCatalogue) -> None:
    one, other = metadata("a", suspension="s"), sequenced("b", suspension="s")
    other.documents = dict(one.documents)
    other.files = [each for each in one.files if not each["indexed"]]
    catalogue.put(one)

    catalogue.put(other.metadata())

    document = catalogue.document("files", id_of("a_1.fastq"))
    assert [each["uuid"] for each in document["bundles"]] == sorted([one.fqid.uuid, other.fqid.uuid])
    assert catalogue.document("samples", id_of("specimen"))["cell_count"] == 100


def test_readers_see_what_they_may_of_an_entity_and_nothing_is_counted_twice(
    catalogue: TestCatalogue,
) -> None:
    public, managed = metadata("a", cells=1), metadata("b", cells=10)
    catalogue.put(public)
    catalogue.put(managed, LAB)
    lab = ANYBODY | {"lab"}

    seen = {
        sought: (
            catalogue.document("samples", id_of("specimen"), sought)["cell_count"],
            catalogue.counts("samples", sought=sought)[0],
            len(catalogue.ids("files", sought=sought)),
            catalogue.summary(sought=sought)["fileCount"],
        )
        for sought in (ANYBODY, lab, frozenset(("lab",)))
    }

    assert seen == {ANYBODY: (1, 1, 2, 2), lab: (11, 1, 4, 4), frozenset(("lab",)): (10, 1, 2, 2)}
    assert not catalogue.ids("files", {"bundleUuid": {"is": [managed.fqid.uuid]}})
    assert catalogue.ids("files", {"bundleUuid": {"is": [managed.fqid.uuid]}}, lab)
    # Others may read it now.
    catalogue.put(managed)
    assert catalogue.document("samples", id_of("specimen"))["cell_count"] == 11


def test_each_reader_sees_the_first_bundles_that_they_may_read(
    catalogue: TestCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "MOST_BUNDLES", 2)
    bundles = sorted((metadata(f"b{number}") for number in range(6)), key=lambda each: each.fqid.uuid)
    labels = [ANYBODY, ANYBODY, ANYBODY, LAB, ANYBODY, LAB]
    for bundle, readers in zip(bundles, labels, strict=True):
        catalogue.put(bundle, readers)

    def seen(*sought: str) -> list[int]:
        document = catalogue.document("samples", id_of("specimen"), frozenset(sought))
        uuids = [each["uuid"] for each in document["bundles"]]
        return [number for number, each in enumerate(bundles) if each.fqid.uuid in uuids]

    assert (seen(*ANYBODY), seen("lab"), seen(*ANYBODY, "lab")) == ([0, 1], [3, 5], [0, 1])
    # Readers change.
    catalogue.put(bundles[0], LAB)
    assert (seen(*ANYBODY), seen("lab"), seen(*ANYBODY, "lab")) == ([1, 2], [0, 3], [0, 1])
    catalogue.delete(bundles[3].fqid)
    assert (seen(*ANYBODY), seen("lab"), seen(*ANYBODY, "lab")) == ([1, 2], [0, 5], [0, 1])


def test_a_bundle_is_refused_whole_if_an_entity_has_too_many_sets_of_readers(
    catalogue: TestCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audiences, "MAX_LABEL_SETS", 3)
    for number in range(3):
        catalogue.put(metadata(f"b{number}"), labels_of((f"lab-{number}",)))
    before = catalogue.tables() | catalogue.large_tables()

    with pytest.raises(TooManyAudiences):
        catalogue.put(metadata("one more"), ANYBODY)

    assert catalogue.tables() | catalogue.large_tables() == before


@pytest.mark.parametrize("state", [DELETED, WITHDRAWN, FAILED])
def test_what_is_to_be_gone_is_gone_though_no_older_version_can_be_shown(
    catalogue: TestCatalogue, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    bundles = [metadata("a", f"2024-03-0{day}T120000.000000Z") for day in (1, 2, 3)]
    for bundle, labels in zip(bundles, (ANYBODY, LAB, ANYBODY), strict=True):
        catalogue.put(bundle, labels)
    catalogue.put(metadata("b"))
    monkeypatch.setattr(audiences, "MAX_LABEL_SETS", 1)

    catalogue.store.put(catalogue.catalogue, BundleState(fqid=bundles[2].fqid, state=state))

    found = {each.fqid: each for each in catalogue.store.upkeep.held(catalogue.catalogue)}
    assert found[bundles[2].fqid].state == state
    assert (found[bundles[1].fqid].state, found[bundles[0].fqid].state) == (FAILED, INDEXED)
    assert "different sets of readers" in found[bundles[1].fqid].reason
    [shown] = catalogue.document("bundles", bundles[0].fqid.uuid)["bundles"]
    assert shown["version"] == bundles[0].fqid.version
    # The same of what is forgotten.
    catalogue.put(bundles[1], ANYBODY)
    catalogue.store.forget(catalogue.catalogue, [bundles[1].fqid])
    assert catalogue.document("bundles", bundles[0].fqid.uuid)


def test_what_postgresql_can_never_store_is_no_outage(
    catalogue: TestCatalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "MOST_WORDS", 10_000_000)
    # Without the limit the words are too many for PostgreSQL; a word has up to 4 bytes a character.
    words = " ".join(chr(0x20000 + number) * 20 for number in range(20_000))
    monkeypatch.setattr(type(catalogue.catalogue.plugin), "words", lambda *_: words)

    with pytest.raises(ProgramLimitExceeded):
        catalogue.put(metadata())

    assert catalogue.is_empty()
    monkeypatch.undo()
    monkeypatch.setattr(type(catalogue.catalogue.plugin), "words", lambda *_: words)
    assert catalogue.put(metadata())
