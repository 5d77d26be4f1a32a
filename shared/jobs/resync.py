"""`resync`: publishes object events again, so that replicas gain the objects that they lack.

Options: either `list` (the `gs://` URL of an object with a key a line) or `prefix` (of the keys in the
buckets); `replicas` (all): the buckets to list; `only_missing` (false): skip objects that all replicas have.
A line of the report is a key, and its outcome.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from shared.catalog import AdminRun
from shared.errors import IllegalArguments
from shared.identifiers import Kind, ObjectName, parse_key
from shared.jobs.argument import Argument
from shared.jobs.lists import check_list, read_list
from shared.jobs.page import Page
from shared.kinds import KINDS
from shared.maintenance.named import source_of
from shared.messages import OBJECT_EVENTS, ObjectEvent
from shared.parallel import map_in_threads
from shared.replicas import Replica
from shared.retry import retry
from shared.system import Dss

_AT_ONCE = 16
_BATCH = 500


@dataclass(frozen=True, kw_only=True)
class _Key:
    """A key, the replica that listed it (None if it is from the list option), and the cursor after it."""

    name: ObjectName
    seen: Replica | None
    cursor: dict[str, Any]


def check(dss: Dss, argument: Argument) -> dict[str, Any]:
    """Return the options. Raises IllegalArguments, and the errors of the list's store."""
    options: dict[str, Any] = {
        "replicas": argument.replicas(dss),
        "only_missing": argument.flag("only_missing"),
    }
    url, prefix = argument.text("list", ""), argument.text("prefix", "")
    if bool(url) == bool(prefix):
        raise IllegalArguments("list, prefix: give one of them, not both")
    if url:
        return {**options, **check_list(dss, url)}
    folders = tuple(f"{kind}/" for kind in Kind)
    if not prefix.startswith(folders):
        raise IllegalArguments(f"prefix: {prefix[:80]!r} must begin with one of {', '.join(folders)}")
    return {**options, "prefix": prefix}


def work(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Publish events from the cursor on; see `JobType`."""
    keys = _from_list(dss, run) if "list" in run.options else _from_buckets(dss, run)
    while batch := list(islice(keys, min(_BATCH, run.options["page"]))):
        known = dss.catalog.backlog.available(KINDS.values(), {key.name for key in batch})

        def outcome(key: _Key) -> tuple[_Key, str]:
            available = known.get(key.name, frozenset())  # noqa: B023 # consumed within the loop
            return key, retry(dss.clock, lambda: _resynced(dss, run, key, available))

        for key, text in map_in_threads(outcome, batch, threads=_AT_ONCE):
            page.report({"key": key.name.key, "outcome": text})
            page.count(keys=1, published=int(text.startswith("published")))
        if page.taken(len(batch)):
            return batch[-1].cursor
    return None


def preview(dss: Dss, run: AdminRun, page: Page) -> dict[str, Any] | None:
    """Report what would be published from the cursor on; see `JobType`."""
    return work(replace(dss, publisher=_NoPublisher()), run, page)


class _NoPublisher:
    def publish(self, topic: str, attributes: Mapping[str, str], data: bytes = b"") -> None:
        del topic, attributes, data


def _from_list(dss: Dss, run: AdminRun) -> Iterator[_Key]:
    for line in read_list(dss, run.options["list"], run.options["list_revision"], run.cursor):
        name = parse_key(line.text)
        if name is None:
            raise IllegalArguments(
                f"{line.where}: {line.text[:80]!r} is not the key of a manifest or tombstone"
            )
        yield _Key(name=name, seen=None, cursor=line.cursor)


def _from_buckets(dss: Dss, run: AdminRun) -> Iterator[_Key]:
    replicas: list[str] = run.options["replicas"]
    begin, after = run.cursor.get("replica", replicas[0]), run.cursor.get("after", "")
    for replica in map(dss.replicas.named, replicas[replicas.index(begin) :]):
        for stored in replica.store.list(replica.bucket, run.options["prefix"], after=after):
            name = parse_key(stored.key)
            if name:
                cursor = {"replica": replica.name, "after": stored.key}
                yield _Key(name=name, seen=replica, cursor=cursor)
        after = ""


def _resynced(dss: Dss, run: AdminRun, key: _Key, available: frozenset[str]) -> str:
    """Publish a key's event, unless it is not needed; return the outcome."""
    if run.options["only_missing"] and available.issuperset(dss.replicas.names):
        return "not published: all replicas have it"
    if key.seen:
        before = run.options["replicas"][: run.options["replicas"].index(key.seen.name)]
        if published := available.intersection(before):
            return f"not published again: it was, from {min(published)}"
    source = key.seen or source_of(dss, key.name, available)
    if source is None:
        return "not published: no replica has it"
    event = ObjectEvent(replica=source.name, bucket=source.bucket, key=key.name.key)
    dss.publisher.publish(OBJECT_EVENTS, event.attributes)
    return f"published, from {source.name}"
