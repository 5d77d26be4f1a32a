"""Versions of files that threads claim at once are claimed in one commit, each as if it were alone."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from shared.catalog import FileRecord
from shared.checksums import checksums_of
from shared.errors import FileAlreadyExists
from shared.identifiers import Fqid
from shared.system import Dss
from tests.support.api import new_uuid, now
from tests.support.dss import open_dss
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def dss(stack: dict[str, str]) -> Iterator[Dss]:
    with open_dss(stack) as opened:
        yield opened


def record(content: str = "") -> FileRecord:
    """Return the record of a new version, with content that no other has, or with this."""
    data = (content or new_uuid()).encode()
    return FileRecord(
        fqid=Fqid(new_uuid(), now()),
        size=len(data),
        content_type="text/plain",
        creator_uid=1,
        checksums=checksums_of(data),
    )


@pytest.fixture
def commits(dss: Dss, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of writes of the commits that are made within the test."""
    made: list[int] = []
    commit = dss.catalog.database.commit

    def counted(*writes: Callable[[Any], None]) -> None:
        made.append(len(writes))
        commit(*writes)

    monkeypatch.setattr(dss.catalog.database, "commit", counted)
    return made


def claim_at_once(dss: Dss, records: Sequence[FileRecord]) -> list[Future[None]]:
    """Have a thread claim each record; all of them wait when the first commit is made."""
    claims = dss.catalog.files._claims
    with ThreadPoolExecutor(len(records)) as threads, claims._working:
        claimed = [threads.submit(dss.catalog.files.create_together, one) for one in records]
        wait_until(lambda: len(claims._waiting) == len(records), "all threads wait")
    return claimed


def test_new_versions_are_claimed_in_one_commit(dss: Dss, commits: list[int]) -> None:
    # Two have the same content.
    records = [record() for _ in range(19)]
    records.append(replace(record(), checksums=records[0].checksums, size=records[0].size))

    for claimed in claim_at_once(dss, records):
        claimed.result()

    # Head, binding and content of each.
    assert commits == [20 + 20 + 19]
    for one in records:
        found = dss.catalog.files.get(one.fqid)
        assert found
        assert found.same_content(one)


def test_one_that_exists_keeps_no_other_from_being_claimed(dss: Dss, commits: list[int]) -> None:
    known, new = record(), record()
    dss.catalog.files.create(known)
    commits.clear()

    for claimed in claim_at_once(dss, [known, new]):
        claimed.result()

    assert commits[0] == 6
    assert dss.catalog.files.get(new.fqid)


def test_other_content_of_a_version_is_refused_and_harms_no_other(dss: Dss) -> None:
    known, new = record(), record()
    dss.catalog.files.create(known)
    other = replace(record(), fqid=known.fqid)

    refused, claimed = claim_at_once(dss, [other, new])

    claimed.result()
    with pytest.raises(FileAlreadyExists):
        refused.result()


def test_one_of_two_that_claim_a_version_at_once_gets_it(dss: Dss) -> None:
    one = record()
    other = replace(record(), fqid=one.fqid)

    outcomes = [claimed.exception() for claimed in claim_at_once(dss, [one, other])]

    [refused] = [outcome for outcome in outcomes if outcome]
    assert isinstance(refused, FileAlreadyExists)
    found = dss.catalog.files.get(one.fqid)
    assert found
    assert found.same_content([one, other][outcomes.index(None)])
