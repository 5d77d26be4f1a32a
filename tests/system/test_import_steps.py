"""The steps of imports: what goes in, what does not and why, and that a step may die at any point."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from shared.catalog import ImportJob, JobState
from shared.checksums import MIB, Checksums, checksums_of
from shared.errors import AccessDenied, CopyTakesLonger, Unprocessable
from shared.faults import FAULT_POINTS
from shared.files import file_record, write_file
from shared.identifiers import Fqid
from shared.imports.jobs import find_import, request_list, resume_abandoned_imports
from shared.imports.rules import bundle_uuid, file_uuid, file_version
from shared.replicas import Replicas
from shared.sources import Source
from shared.stores.base import ObjectStore, StoredObject
from tests.support.audit_lines import AuditLines
from tests.support.checkout_harness import ClockAhead
from tests.support.clouds import SCHEMES, Clouds
from tests.support.copies import WatchedStore, distinct_bytes
from tests.support.import_runs import Deadly, Imports, imports_in_process

# What is larger is read by parts, and copied by its cloud.
INLINE = MIB


@pytest.fixture(scope="module")
def imports(stack: dict[str, str]) -> Iterator[Imports]:
    with imports_in_process(stack, DSS_INLINE_VERIFY_BYTES=str(INLINE)) as found:
        yield found


def folder(clouds: Clouds, replica: str, objects: Mapping[str, bytes], **more: Any) -> str:
    """Put objects without claims into a new folder of a staging bucket; return its URL."""
    name = str(uuid.uuid4())
    for key, data in objects.items():
        clouds.stage(replica, data, key=f"{name}/{key}", **{"metadata": {}, **more})
    return f"{SCHEMES[replica]}://{clouds.staging[replica]}/{name}/"


def table(clouds: Clouds, *rows: str | bytes, head: str = "source_url\tbundle\tname") -> str:
    """Put a table into a staging bucket, and return its URL."""
    lines = [row.encode() if isinstance(row, str) else row for row in (head, *rows)]
    return clouds.stage("gcp", b"\n".join(lines), metadata={}, content_type="text/tab-separated-values")


def files_of(imports: Imports, name: str, *, scope: str = "", replica: str = "gcp") -> dict[str, Checksums]:
    """Return the files of the newest version of a bundle, by name, with their checksums."""
    head = imports.dss.catalog.bundles.newest(bundle_uuid(scope, name), replica)
    assert head, f"{name} is no bundle"
    return {file.name: file.checksums for file in imports.dss.catalog.bundles.files(head, 0, head.file_count)}


def versions_of(imports: Imports, name: str, scope: str = "") -> list[str]:
    """Return all versions of a bundle."""
    heads = imports.dss.catalog.bundles.versions(bundle_uuid(scope, name))
    return [head.fqid.version for head in heads if head.available]


def test_folders_become_bundles_with_checksums_that_were_computed(
    imports: Imports, clouds: Clouds, replica: str
) -> None:
    small, large = b"ACGT", distinct_bytes(3 * MIB)
    objects = {"a/r/1.fastq": small, "a/about.json": b"{}", "b/2.bam": large, "readme": b"x", "c/": b""}
    source = folder(clouds, replica, objects)

    job = imports.imported(imports.order(source, replica=replica))

    assert imports.counts(job) == {"files": 4, "bytes": len(small) + len(large) + 3, "bundles": 3}
    assert (job.counts["objects"], job.counts["folders"], job.counts["bundles"]) == (4, 1, 3)
    assert files_of(imports, f"{source}a/", replica=replica) == {
        "about.json": checksums_of(b"{}"),
        "r/1.fastq": checksums_of(small),
    }
    assert files_of(imports, f"{source}b/", replica=replica) == {"2.bam": checksums_of(large)}
    assert files_of(imports, source, replica=replica) == {"readme": checksums_of(b"x")}
    blob = clouds.read(replica, checksums_of(large).blob_key)
    assert blob == large


def test_json_is_indexed_as_what_it_is(imports: Imports, clouds: Clouds) -> None:
    source = folder(
        clouds, "gcp", {"a/x.json": b"{}", "a/y.meta": b"{}", "a/z.txt": b"{}"}, content_type="text/plain"
    )

    imports.imported(imports.order(source, metadata=("*.json", "*.meta")))

    head = imports.dss.catalog.bundles.newest(bundle_uuid("", f"{source}a/"), "gcp")
    assert head
    files = imports.dss.catalog.bundles.files(head, 0, head.file_count)
    assert {file.name: (file.indexed, file.content_type) for file in files} == {
        "x.json": (True, "application/json"),
        "y.meta": (True, "application/json"),
        "z.txt": (False, "text/plain"),
    }


def test_what_is_in_is_not_done_again(imports: Imports, clouds: Clouds, replica: str) -> None:
    source = folder(clouds, replica, {"a/1": b"one", "a/2": b"two"})
    order = imports.order(source, replica=replica)
    imports.imported(order)
    before = versions_of(imports, f"{source}a/")

    again = imports.imported(replace(order, email="somebody.else@example.org"))

    assert imports.counts(again) == {"files_there": 2, "bytes_there": 6, "bundles_there": 1}
    assert versions_of(imports, f"{source}a/") == before
    assert again.counts["there"] == 2 and again.counts["bytes_there"] == 6


def test_what_has_changed_is_a_new_version(imports: Imports, clouds: Clouds) -> None:
    source = folder(clouds, "gcp", {"a/1": b"one", "a/2": b"two", "b/3": b"three"})
    order = imports.order(source)
    imports.imported(order)
    key = source.partition("://")[2].partition("/")[2]
    clouds.gcs.bucket(clouds.staging["gcp"]).blob(f"{key}a/2").delete()

    job = imports.imported(order)

    # Its newest file is as old as before: the new version comes after the one that has more files.
    assert imports.counts(job) == {"files_there": 2, "bytes_there": 8, "bundles": 1, "bundles_there": 1}
    assert files_of(imports, f"{source}a/") == {"1": checksums_of(b"one")}
    assert len(versions_of(imports, f"{source}a/")) == 2
    assert len(versions_of(imports, f"{source}b/")) == 1


def test_of_a_table_wrong_rows_are_named_and_the_rest_goes_in(imports: Imports, clouds: Clouds) -> None:
    urls = [f"{folder(clouds, 'gcp', {'x': bytes([number])})}x" for number in range(3)]
    good = [f"{urls[index % 3]}\tbundle {index % 2}\tname {index}" for index in range(20)]
    source = table(
        clouds,
        *good[:10],
        f"{urls[0]}nothing\tbundle 0\tgone",  # line 12
        f"{urls[0]}\tbundle 0\tname 2",  # line 13
        f"{urls[0]}\tbundle 0\tumlaut ".encode() + b"\xe4",  # line 14
        "gs://not-ours/x\tbundle 1\tforbidden",  # line 15
        f"{urls[0]}\tbundle 1\t../out",  # line 16
        f"s3://{clouds.staging['aws']}/x\tbundle 1\tother cloud",  # line 17
        *good[10:],
    )

    job = imports.imported(imports.order(table=source))

    assert (job.counts["objects"], job.counts["wrong"], job.counts["bundles"]) == (21, 6, 2)
    wrong = {line["object"].partition(":")[0]: line["failed"] for line in imports.report(job)}
    expected = {
        "line 12": "there is no such object",
        "line 13": "has a file 'name 2' already",
        "line 14": "not UTF-8",
        "line 15": "may not put files from",
        "line 16": "'..' step",
        "line 17": "not in the cloud of replica gcp",
    }
    assert wrong.keys() == expected.keys()
    assert {where for where, words in expected.items() if words not in wrong[where]} == set(), wrong
    names = {
        name for number in (0, 1) for name in files_of(imports, f"bundle {number}", scope=job.order.email)
    }
    assert names == {f"name {index}" for index in range(20)}


@pytest.mark.parametrize(
    ("head", "words"),
    [("url\tbundle", "no column source_url"), ("source_url\tbundle\tbundle", "bundle twice")],
)
def test_a_table_without_its_columns_is_refused(
    imports: Imports, clouds: Clouds, head: str, words: str
) -> None:
    with pytest.raises(Unprocessable, match=words):
        imports.listed(imports.order(table=table(clouds, "gs://b/k\tone", head=head)))


def test_an_object_that_changes_or_vanishes_is_named(imports: Imports, clouds: Clouds, replica: str) -> None:
    source = folder(clouds, replica, {"a/stays": b"1", "a/changes": b"2", "a/goes": b"3", "b/goes": b"4"})
    job = imports.listed(imports.order(source, replica=replica))
    bucket, _, prefix = source.partition("://")[2].partition("/")
    clouds.stage(replica, b"other", key=f"{prefix}a/changes", metadata={})
    for name in ("a/goes", "b/goes"):
        remove(clouds, replica, bucket, prefix + name)

    job = imports.go_on(job)

    assert imports.counts(job) == {
        "files": 1, "bytes": 1, "failed": 3, "bundles": 1, "bundles_incomplete": 1, "bundles_failed": 1,
    }  # fmt: skip
    lines = {line.get("object") or line["bundle"]: line for line in imports.report(job)}
    assert "replaced after it was listed" in lines[f"{source}a/changes"]["failed"]
    assert "deleted after it was listed" in lines[f"{source}a/goes"]["failed"]
    assert "2 of its 3 files did not go in" in lines[f"{source}a/"]["incomplete"]
    assert "1 of its 1 files did not go in" in lines[f"{source}b/"]["failed"]
    assert set(files_of(imports, f"{source}a/", replica=replica)) == {"stays"}


def remove(clouds: Clouds, replica: str, bucket: str, key: str) -> None:
    """Remove an object."""
    if replica == "gcp":
        clouds.gcs.bucket(bucket).blob(key).delete()
    else:
        clouds.s3.delete_object(Bucket=bucket, Key=key)


def test_a_bundle_that_must_be_whole_is_left_out_if_it_is_not(imports: Imports, clouds: Clouds) -> None:
    source = folder(clouds, "gcp", {"a/1": b"1", "a/2": b"2", "b/3": b"3"})
    job = imports.listed(imports.order(source, whole=True))
    bucket, _, prefix = source.partition("://")[2].partition("/")
    remove(clouds, "gcp", bucket, f"{prefix}a/1")

    job = imports.go_on(job)

    assert imports.counts(job) == {"files": 2, "bytes": 2, "failed": 1, "bundles": 1, "bundles_failed": 1}
    assert versions_of(imports, f"{source}a/") == []


def test_an_object_without_read_rights_is_named(imports: Imports, clouds: Clouds) -> None:
    source = folder(clouds, "gcp", {"a/1": b"1", "a/2": b"2"})
    job = imports.listed(imports.order(source))
    store = Refusing(imports.dss.replicas.primary.store, f"{source}a/1".partition("://")[2].partition("/")[2])

    job = with_store(imports, store).go_on(job)

    [line] = [line for line in imports.report(job) if "object" in line]
    assert (line["object"], line["code"]) == (f"{source}a/1", "Forbidden")
    assert "may not read it" in line["failed"]
    assert set(files_of(imports, f"{source}a/")) == {"2"}


def test_a_false_claim_of_an_objects_owner_is_named(imports: Imports, clouds: Clouds) -> None:
    false = {"dss-sha256": checksums_of(b"other").sha256}
    source = folder(clouds, "gcp", {"a/1": b"content"}, metadata=false)

    job = imports.imported(imports.order(source))

    line, *_ = imports.report(job)
    assert (line["object"], line["code"]) == (f"{source}a/1", "invalid_checksum")
    assert "claim sha256" in line["failed"]


def test_only_who_may_write_a_bundle_imports_it(imports: Imports, clouds: Clouds) -> None:
    source = folder(clouds, "gcp", {"a/1": b"1"})
    order = imports.order(source, owner_group="dss")
    imports.imported(order)

    stranger = replace(order, email="stranger@example.org", groups=("dss-others",))
    job = imports.imported(replace(stranger, groups=()))

    assert {line.get("code") for line in imports.report(job)} == {"Forbidden"}
    assert imports.counts(job)["bundles_failed"] == 1


def test_a_file_that_others_have_put_under_the_same_name_is_not_taken_for_it(
    imports: Imports, clouds: Clouds
) -> None:
    # Who knows where an object is can foresee the name of its file.
    source = folder(clouds, "gcp", {"a/1": b"right"})
    url = f"{source}a/1"
    job = imports.listed(imports.order(source))
    bucket, _, key = url.partition("://")[2].partition("/")
    stored = imports.dss.replicas.primary.store.stat(bucket, key)
    other = clouds.stage("gcp", b"wrong")
    bucket, _, key = other.partition("://")[2].partition("/")
    found = imports.dss.replicas.primary.store.stat(bucket, key)
    assert stored.written
    fqid = Fqid(file_uuid("", url), file_version(stored.written, stored.revision))
    claimed = Source(replica=imports.dss.replicas.primary, object=found, checksums=checksums_of(b"wrong"))
    write_file(imports.dss, file_record(fqid, 0, claimed), claimed)

    job = imports.go_on(job)

    line, *_ = imports.report(job)
    assert (line["object"], line["code"]) == (url, "file_already_exists")
    assert versions_of(imports, f"{source}a/") == []


def test_a_copy_that_takes_longer_is_waited_for(imports: Imports, clouds: Clouds) -> None:
    data = distinct_bytes(2 * MIB)
    source = folder(clouds, "gcp", {"a/large": data, "a/small": b"x"})
    slow = with_store(imports, SlowToCopy(imports.dss.replicas.primary.store))

    job = slow.imported(slow.order(source))

    assert imports.counts(job) == {"files": 2, "bytes": len(data) + 1, "bundles": 1}
    assert files_of(imports, f"{source}a/")["large"] == checksums_of(data)


def test_a_step_may_die_at_any_point(imports: Imports, clouds: Clouds) -> None:
    objects = {"a/1": b"1", "a/2.json": b"{}", "b/large": distinct_bytes(2 * MIB), "b/gone": b"3"}

    def run(at: int) -> tuple[list[str], ImportJob, str]:
        """Import these objects, of which one goes; the step that comes to the `at`-th point dies there."""
        source = folder(clouds, "gcp", objects)
        faults = Deadly(at)
        dying = replace(imports, dss=replace(imports.dss, faults=faults))  # type: ignore[arg-type]
        job = dying.listed(dying.order(source))
        bucket, _, prefix = source.partition("://")[2].partition("/")
        remove(clouds, "gcp", bucket, f"{prefix}b/gone")
        return faults.reached, dying.go_on(job), source

    reached, job, source = run(0)
    expected = imports.counts(job), imports.report(job)
    # Large objects have a test of their own; other points are those of files and bundles (test_kill.py).
    own = [point for point in FAULT_POINTS if point.startswith("import: ") and point != "import: part hashed"]
    assert set(own) <= set(reached)
    assert expected[0]["files"] == 3 and expected[0]["failed"] == 1

    for at in [reached.index(point) + 1 for point in own]:
        _, job, source = run(at)
        counts = imports.counts(job)
        # What a step had done before it died is there for the next one.
        files = counts.pop("files", 0) + counts.pop("files_there", 0)
        bundles = counts.pop("bundles", 0) + counts.pop("bundles_there", 0)
        assert (files, bundles, counts["failed"]) == (3, 2, 1), reached[at - 1]
        assert (job.counts["objects"], len(imports.report(job))) == (4, len(expected[1])), reached[at - 1]
        assert set(files_of(imports, f"{source}a/")) == {"1", "2.json"}
        assert len(versions_of(imports, f"{source}a/")) == len(versions_of(imports, f"{source}b/")) == 1


class Wrapped:
    """A store that does some things otherwise."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class Refusing(Wrapped):
    """A store that denies access to an object."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        super().__init__(store)
        self._key = key

    def stat(self, bucket: str, key: str) -> StoredObject:
        """Describe an object, if it is not that one."""
        if key == self._key:
            raise AccessDenied(f"{key}: no")
        return self._store.stat(bucket, key)


class SlowToCopy(Wrapped):
    """A store that needs several calls for each copy."""

    def copy(self, source: StoredObject, *_: Any, **__: Any) -> None:
        """Copy nothing."""
        raise CopyTakesLonger(f"{source.key}: it takes longer")


def with_store(imports: Imports, store: Any) -> Imports:
    """Return imports with another store of the primary replica."""
    first, *others = imports.dss.replicas
    replicas = Replicas(replace(first, open_store=lambda: store), *others)
    return replace(imports, dss=replace(imports.dss, replicas=replicas))


def test_imports_end_as_failed_only_if_the_system_fails(imports: Imports, clouds: Clouds) -> None:
    job = imports.imported(imports.order(folder(clouds, "gcp", {})))

    assert (job.state, job.counts.get("objects", 0), imports.counts(job)) == (JobState.SUCCEEDED, 0, {})


def test_a_large_object_is_read_once_though_each_step_dies_after_a_part(
    imports: Imports, clouds: Clouds, replica: str
) -> None:
    data = distinct_bytes(64 * MIB + 5)
    source = folder(clouds, replica, {"a/large": data})
    job = imports.listed(imports.order(source, replica=replica))
    watched = {one.name: WatchedStore(one.store) for one in imports.dss.replicas}
    places = [
        replace(one, open_store=partial(watched.__getitem__, one.name))  # type: ignore[arg-type]
        for one in imports.dss.replicas
    ]
    faults = Deadly(at=1)
    dss = replace(imports.dss, replicas=Replicas(*places), faults=faults)  # type: ignore[arg-type]

    job = replace(imports, dss=dss).go_on(job)

    assert faults.reached[0] == "import: part hashed"
    assert imports.counts(job)["files"] == 1, imports.report(job)
    assert files_of(imports, f"{source}a/", replica=replica) == {"large": checksums_of(data)}
    # Also the list of the import is read.
    assert len(data) <= watched[replica].bytes_read < len(data) + MIB
    # What is read of another cloud goes to the primary's at once.
    assert clouds.read("gcp", checksums_of(data).blob_key) == data


def test_the_audit_log_says_what_was_written_and_in_whose_name(
    imports: Imports, clouds: Clouds, stack: dict[str, str]
) -> None:
    source = folder(clouds, "gcp", {"a/1": b"1"})

    job = imports.imported(imports.order(source))

    lines = [one for one in AuditLines(stack).all() if one.arguments.get("import") == job.id]
    assert [(one.kind, one.identity, one.decision) for one in lines] == [
        ("file", job.order.email, "allowed"),
        ("bundle", job.order.email, "allowed"),
    ]
    assert lines[0].is_about(file_uuid("", f"{source}a/1"))
    assert lines[1].is_about(bundle_uuid("", f"{source}a/"))


def test_an_import_that_nobody_works_on_is_resumed_and_given_up_at_last(
    imports: Imports, clouds: Clouds
) -> None:
    source = folder(clouds, "gcp", {"a/1": b"1"})
    job = request_list(imports.dss, str(uuid.uuid4()), imports.order(source))
    assert job.id not in resume_abandoned_imports(imports.dss)

    for hours in range(1, 7):
        later = replace(imports.dss, clock=ClockAhead(timedelta(hours=2 * hours)))
        later.catalog.database.clock = later.clock
        try:
            resumed = resume_abandoned_imports(later)
        finally:
            later.catalog.database.clock = imports.dss.clock
        job = find_import(imports.dss, job.id)
        assert (job.id in resumed) == (hours < 6), hours

    assert (job.state, job.attempt) == (JobState.FAILED, 6)
    assert "ended without a result" in job.cause
