"""The rules by which objects become files and bundles, for all names of objects."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.bundles import check_names
from shared.identifiers import check_uuid, check_version, moment_of
from shared.imports.rules import (
    SHARDS,
    bundle_uuid,
    bundle_version,
    doubled,
    file_uuid,
    file_version,
    is_metadata,
    place,
    shard_of,
)

STEPS = st.text("ab.-_ é", max_size=4)
KEYS = st.lists(STEPS, min_size=1, max_size=5).map("/".join)
PREFIXES = st.lists(STEPS, max_size=2).map(lambda steps: "".join(f"{step}/" for step in steps))
TIMES = st.datetimes(datetime(2006, 1, 1), datetime(2040, 1, 1)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)
FEW_NAMES = st.lists(
    st.tuples(st.sampled_from("XY"), st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map("/".join)),
    max_size=12,
)


@given(PREFIXES, KEYS, st.integers(0, 5))
def test_folder_and_name_of_an_object_are_its_key(prefix: str, key: str, depth: int) -> None:
    folder, name = place(prefix + key, prefix, depth)

    assert folder + name == prefix + key
    assert folder.startswith(prefix)
    assert folder == prefix or folder.endswith("/")


@given(PREFIXES, KEYS, st.integers(0, 5))
def test_a_bundle_has_at_most_so_many_folders_below_its_source(prefix: str, key: str, depth: int) -> None:
    folder, name = place(prefix + key, prefix, depth)

    below = folder.removeprefix(prefix).count("/")
    assert below == min(depth, key.count("/"))
    assert ("/" in name) <= (below == depth)


@given(PREFIXES, st.sets(KEYS, min_size=1), st.integers(0, 5))
def test_no_two_objects_have_one_name_in_a_bundle(prefix: str, keys: set[str], depth: int) -> None:
    placed = [place(prefix + key, prefix, depth) for key in keys]

    assert len(set(placed)) == len(keys)


@given(KEYS, st.integers(1, 4))
def test_a_folder_is_the_same_bundle_from_wherever_it_is_imported(key: str, depth: int) -> None:
    # `top/` by two folders, and `top/FOLDER/` by one, make the same bundles.
    folder, name = place(f"top/sub/{key}", "top/", depth + 1)

    assert place(f"top/sub/{key}", "top/sub/", depth) == (folder, name)


def test_uuids_follow_from_places_and_owners_and_never_change() -> None:
    url = "gs://lab/run 1/reads.fastq"
    names = {
        file_uuid("", url),
        file_uuid("group", url),
        bundle_uuid("", "gs://lab/run 1/"),
        bundle_uuid("g", "x"),
    }

    assert len({check_uuid(name) for name in names}) == 4
    # Imported data have these names: they must be the same in every release.
    assert file_uuid("", url) == "96675310-4a41-5aac-841d-a981372db395"
    assert bundle_uuid("", "gs://lab/run 1/") == "d0d2d62e-5484-520c-82c3-4b278cc776d9"


@given(st.uuids().map(str))
def test_a_name_that_is_a_uuid_is_that_bundle(name: str) -> None:
    assert bundle_uuid("anybody", name) == bundle_uuid("", name.upper()) == name


@given(TIMES, st.text(max_size=20))
def test_the_version_of_a_file_is_when_its_object_was_written(moment: datetime, revision: str) -> None:
    version = check_version(file_version(moment, revision))

    assert file_version(moment, revision) == version
    assert timedelta(0) <= moment_of(version) - moment < timedelta(seconds=1)
    if moment.microsecond:
        assert moment_of(version) == moment


def test_an_object_replaced_within_a_second_is_another_version() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    assert file_version(moment, "etag 1") != file_version(moment, "etag 2")


@given(st.lists(TIMES, min_size=1, max_size=5), st.none() | TIMES)
def test_the_version_of_a_bundle_is_its_newest_file_and_comes_after_the_one_before(
    written: list[datetime], before: datetime | None
) -> None:
    files = [file_version(moment, "") for moment in written]
    newest = file_version(before, "") if before else None

    version = check_version(bundle_version(files, newest))

    assert version >= max(files)
    assert newest is None or version > newest
    assert bundle_version(reversed(files), newest) == version


@given(FEW_NAMES)
def test_what_is_left_without_doubled_names_is_a_bundle(names: list[tuple[str, str]]) -> None:
    wrong = doubled(names)

    bundles = defaultdict(list)
    for index, (bundle, name) in enumerate(names):
        if index not in wrong:
            bundles[bundle].append(name)
    for left in bundles.values():
        check_names(left)


@given(FEW_NAMES)
def test_of_doubled_names_the_first_goes_in(names: list[tuple[str, str]]) -> None:
    wrong = doubled(names)

    # A row that is wrong is so because of an earlier one that is not.
    for index in wrong:
        bundle, name = names[index]
        before = [
            other
            for earlier, (where, other) in enumerate(names[:index])
            if where == bundle and earlier not in wrong
        ]
        assert any(
            other == name or f"{other}/".startswith(f"{name}/") or name.startswith(f"{other}/")
            for other in before
        )
    assert 0 not in wrong


@given(st.text(max_size=30))
def test_every_bundle_has_a_shard(bundle: str) -> None:
    assert 0 <= shard_of(bundle) < SHARDS


def test_patterns_say_what_is_metadata() -> None:
    assert is_metadata("a/b/reads.fastq.json", ["*.json"])
    assert is_metadata("meta/x.txt", ["*.json", "meta/*"])
    assert not is_metadata("reads.fastq", ["*.json", "meta/*"])
