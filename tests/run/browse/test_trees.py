"""Files of a bundle as folders, and what has changed between two versions."""

from hypothesis import given
from hypothesis import strategies as st

from run.browse.trees import changes_of, folder_of, parents_of
from shared.catalog import PagedFile

STEPS = st.sampled_from(["a", "b", "a.b", "é", "😀", " ", "<b>"])
NAMES = st.lists(st.lists(STEPS, min_size=1, max_size=4).map("/".join), unique=True).map(
    lambda names: sorted(names, key=str.encode)
)


def file(name: str, content: str = "", version: str = "1") -> PagedFile:
    return PagedFile(
        name=name, uuid=f"uuid of {name}", version=version, content_type="", size=len(name), indexed=False,
        crc32c="", s3_etag="", sha1="", sha256=content,
    )  # fmt: skip


@given(NAMES)
def test_walking_all_folders_finds_each_file_once_with_its_size(names: list[str]) -> None:
    files = list(map(file, names))
    waiting, found = [""], []
    while waiting:
        path = waiting.pop()
        folder = folder_of(files, path, 0, 10_000)
        below = [name for name in names if name.startswith(path)]
        assert (folder.files, folder.size) == (len(below), sum(map(len, below)))
        assert folder.total == len(folder.entries) == len({each.name for each in folder.entries})
        assert sum(each.size for each in folder.entries) == folder.size
        found += [each.file.name for each in folder.entries if each.file]
        waiting += [each.path for each in folder.entries if not each.file]

    assert sorted(found) == sorted(names)


@given(NAMES, st.integers(1, 4))
def test_pages_of_a_folder_are_its_entries_in_order(names: list[str], size: int) -> None:
    files = list(map(file, names))
    whole = folder_of(files, "", 0, 10_000)
    pages = [folder_of(files, "", start, size) for start in range(0, whole.total, size)]

    assert [each for page in pages for each in page.entries] == whole.entries
    assert all(len(page.entries) <= size and page.total == whole.total for page in pages)


def test_a_name_that_ends_with_a_slash_is_a_file() -> None:
    folder = folder_of([file("a/"), file("b//c")], "", 0, 10)

    assert [(each.name, each.file is None) for each in folder.entries] == [("a/", False), ("b/", True)]
    assert [each.name for each in folder_of([file("b//c")], "b/", 0, 10).entries] == ["/"]
    assert parents_of("a//b/") == [("a/", "a/"), ("/", "a//"), ("b/", "a//b/")]


@given(NAMES, NAMES)
def test_changes_lead_from_one_version_to_the_other(old: list[str], new: list[str]) -> None:
    before = {name: file(name, "x", "1") for name in old}
    after = {name: file(name, "y" if len(name) % 2 else "x", "2") for name in new}

    changes = list(changes_of(before.values(), after.values()))

    assert {each.name for each in changes} == {*old, *new}
    changed = {each.name: each.new for each in changes if each.new}
    assert changed == after
    kinds = {each.name: each.kind for each in changes}
    for name in {*old, *new}:
        both = name in before and name in after
        same = "changed" if len(name) % 2 else "same content, another version"
        assert kinds[name] == (same if both else "added" if name in after else "removed")
    assert list(changes_of(before.values(), before.values())) == []
