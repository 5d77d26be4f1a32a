"""`dss ls`, `cat`, `cp`, `stat`, `verify` and `diff` read bundles by name."""

import os
from pathlib import Path

import pytest

from tests.support.command_line import Outcome, dss_here
from tests.support.fake_dss import BUNDLE, VERSION, FakeDss, Fault

FQID = f"{BUNDLE}.{VERSION}"
MISSING = "33333333-3333-4333-8333-333333333333"


@pytest.fixture
def env(fake: FakeDss) -> dict[str, str]:
    fake.names = {"Links.json": b"{}", "raw/a.json": b"[1]", "raw/b.csv": b"x,y\n", "b.csv": b"1\n"}
    return {"DSS_URL": fake.url, "DSS_TOKEN": "a.token"}


@pytest.mark.parametrize(
    ("rest", "names"),
    [
        ("", ["Links.json", "raw/a.json", "raw/b.csv", "b.csv"]),
        ("/raw", ["raw/a.json", "raw/b.csv"]),
        ("/raw/", ["raw/a.json", "raw/b.csv"]),
        ("/*.json", ["Links.json", "raw/a.json"]),
        ("/b.csv", ["b.csv"]),
    ],
)
def test_ls_lists_names(env: dict[str, str], rest: str, names: list[str]) -> None:
    outcome = dss_here(env, "ls", f"dss://{FQID}{rest}")

    assert (outcome.code, outcome.out.splitlines()) == (0, names)


def test_ls_says_more_on_request(env: dict[str, str], fake: FakeDss) -> None:
    long_, as_json = dss_here(env, "ls", "-l", BUNDLE), dss_here(env, "ls", "--json", f"{BUNDLE}/b.csv")

    assert long_.out.splitlines()[2].split() == [
        "4",
        f"{fake.uuid_of('raw/b.csv')}.{VERSION}",
        "-",
        "raw/b.csv",
    ]
    assert as_json.json["version"] == VERSION
    assert [(file["name"], file["size"]) for file in as_json.json["files"]] == [("b.csv", 2)]


@pytest.mark.parametrize("command", ["ls", "cat", "stat", "cp"])
def test_a_name_that_does_not_exist_is_exit_code_3_and_others_are_suggested(
    env: dict[str, str], tmp_path: Path, command: str
) -> None:
    rest = [tmp_path / "out"] if command == "cp" else []

    wrong_case, gone = (
        dss_here(env, command, f"{BUNDLE}/links.json", *rest),
        dss_here(env, command, f"{MISSING}/x", *rest),
    )

    assert (wrong_case.code, gone.code) == (3, 3)
    assert "has no file 'links.json', of 4 files; did you mean 'Links.json'?" in wrong_case.err
    assert "404 not_found" in gone.err
    assert not (tmp_path / "out").exists()


def test_a_pattern_without_a_match_is_exit_code_1_and_suggests(env: dict[str, str], tmp_path: Path) -> None:
    outcome = dss_here(env, "download", BUNDLE, "--to", tmp_path / "out", "--name", "a.jsn")

    assert outcome.code == 1
    assert "no file of the bundle matches 'a.jsn'; did you mean 'raw/a.json'" in outcome.err
    assert not (tmp_path / "out").exists()


def test_cat_writes_files_in_order_and_verifies_them(env: dict[str, str], fake: FakeDss) -> None:
    both = dss_here(env, "cat", f"{BUNDLE}/raw/b.csv", f"{fake.url}/browse/bundles/{FQID}/b.csv")

    assert (both.code, both.out) == (0, "x,y\n1\n")
    fake.broken["GET", "/blob/3"] = Fault(rot=True)
    rotten = dss_here(env, "cat", f"{BUNDLE}/b.csv")
    assert rotten.code == 1
    assert "sha256" in rotten.err
    assert dss_here(env, "cat", BUNDLE).code == 1
    assert dss_here(env, "cat", f"{BUNDLE}/b.csv", "--json").code == 1


@pytest.mark.parametrize("command", [("cat",), ("cp", "-")])
def test_a_directory_or_a_pattern_goes_to_stdout(
    env: dict[str, str], fake: FakeDss, command: tuple[str, ...]
) -> None:
    name, *rest = command

    def written(*names: str) -> tuple[int, str]:
        outcome = dss_here(env, name, *(f"{BUNDLE}/{one}" for one in names), *rest)
        return outcome.code, outcome.out

    assert written("raw") == (0, "[1]x,y\n")
    assert written("*.json", "b.csv") == (0, "{}[1]1\n")
    assert written("b.csv", "*.txt") == (3, "")
    assert written("") == (1, "")
    fake.names = {"large": bytes(20_000_000)}
    fake.seen.clear()
    assert written("large")[0] == 0
    assert len(fake.requests("GET", "/blob")) == 1


def test_cp_copies_to_a_file_a_directory_or_stdout(env: dict[str, str], tmp_path: Path) -> None:
    assert dss_here(env, "cp", f"{BUNDLE}/b.csv", tmp_path / "one.csv").code == 0
    assert dss_here(env, "cp", f"{BUNDLE}/raw", f"{tmp_path}/new/").code == 0
    assert dss_here(env, "cp", f"{BUNDLE}/Links.json", f"{BUNDLE}/*/a.json", tmp_path / "new").code == 0
    assert dss_here(env, "cp", f"{BUNDLE}/b.csv", "-").out == "1\n"

    found = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*.*")}
    assert found == {
        "one.csv": b"1\n",
        "new/a.json": b"[1]",
        "new/b.csv": b"x,y\n",
        "new/Links.json": b"{}",
    }


@pytest.mark.parametrize(
    ("names", "destination", "why"),
    [
        (["raw"], "file", "2 files can't go to one file"),
        (["raw/b.csv", "b.csv"], "out/", "'raw/b.csv' and 'b.csv' would both be"),
        ([""], "out/", "names a whole bundle"),
    ],
)
def test_cp_writes_nothing_if_files_would_collide(
    env: dict[str, str], tmp_path: Path, names: list[str], destination: str, why: str
) -> None:
    outcome = dss_here(env, "cp", *(f"{BUNDLE}/{name}" for name in names), f"{tmp_path}/{destination}")

    assert outcome.code == 1
    assert why in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_stat_describes_a_bundle_and_a_file(env: dict[str, str], fake: FakeDss) -> None:
    bundle, file = dss_here(env, "stat", BUNDLE), dss_here(env, "stat", f"{BUNDLE}/raw/b.csv", "--json")

    assert bundle.out.splitlines()[3:] == ["files    4", "indexed  0", "size     11"]
    assert (file.json["bundle"], file.json["size"], file.json["uuid"]) == (FQID, 4, fake.uuid_of("raw/b.csv"))
    assert file.json["drs_uri"].startswith("drs://")


@pytest.mark.parametrize("command", [("ls", "{}"), ("stat", "{}"), ("download", "{}"), ("diff", "{}", "{}")])
def test_a_bundle_of_another_dss_is_refused(
    env: dict[str, str], fake: FakeDss, command: tuple[str, ...]
) -> None:
    outcome = dss_here(env, *(part.format(f"drs://other.example.org/{BUNDLE}") for part in command))

    assert outcome.code == 1
    assert "is on another DSS, other.example.org, than the one in use, 127.0.0.1" in outcome.err
    assert fake.seen == []


def verified(env: dict[str, str], *arguments: object) -> tuple[int, list[str]]:
    outcome: Outcome = dss_here(env, "verify", *arguments)
    return outcome.code, outcome.out.splitlines()[:-1]


def test_verify_finds_what_became_of_a_download(env: dict[str, str], tmp_path: Path) -> None:
    env = {**env, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    copy = tmp_path / "copy"
    dss_here(env, "download", BUNDLE, "--to", copy)
    assert verified(env, copy) == (0, [])

    (copy / "more.txt").write_text("more")
    assert verified(env, copy) == (0, ["+ more.txt"])
    status = (copy / "b.csv").stat()
    (copy / "b.csv").write_text("2\n")
    os.utime(copy / "b.csv", ns=(status.st_atime_ns, status.st_mtime_ns))
    (copy / "raw" / "a.json").write_text("[1, 2]")
    (copy / "raw" / "b.csv").unlink()
    expected = ["- raw/b.csv", "+ more.txt", "~ b.csv", "~ raw/a.json"]
    assert verified(env, copy) == (1, expected)
    moved = copy.rename(tmp_path / "moved")
    assert verified(env, moved, "--bundle", BUNDLE) == (1, expected)
    unknown = dss_here(env, "verify", moved)
    assert unknown.code == 1
    assert "name its bundle with --bundle" in unknown.err
    dss_here(env, "download", BUNDLE, "--to", moved)
    assert verified(env, moved) == (0, ["+ more.txt"])


def test_verify_does_not_miss_what_was_not_asked_for(env: dict[str, str], tmp_path: Path) -> None:
    env = {**env, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    copy = tmp_path / "copy"
    dss_here(env, "download", BUNDLE, "--to", copy, "--name", "*.json")
    assert verified(env, copy) == (0, [])
    dss_here(env, "download", BUNDLE, "--to", copy, "--name", "b.csv")
    assert verified(env, copy) == (0, [])

    (copy / "Links.json").unlink()

    assert verified(env, copy) == (1, ["- Links.json"])
    dss_here(env, "download", BUNDLE, "--to", copy)
    (copy / "raw" / "b.csv").unlink()
    assert verified(env, copy) == (1, ["- raw/b.csv"])


def test_links_to_directories_are_followed_as_an_upload_follows_them(
    env: dict[str, str], tmp_path: Path
) -> None:
    copy, elsewhere = tmp_path / "copy", tmp_path / "elsewhere"
    dss_here(env, "download", BUNDLE, "--to", copy)
    (copy / "raw").rename(elsewhere)
    (copy / "raw").symlink_to(elsewhere)
    assert verified(env, copy, "--bundle", BUNDLE) == (0, [])

    (elsewhere / "loop").symlink_to(copy)
    (elsewhere / "self").symlink_to(elsewhere)
    (elsewhere / "b.csv").write_text("?")

    assert verified(env, copy, "--bundle", BUNDLE) == (1, ["~ raw/b.csv"])


def test_names_that_a_directory_cannot_hold_are_verified_where_they_are(
    env: dict[str, str], fake: FakeDss, tmp_path: Path
) -> None:
    fake.names = {"a": b"1", "a/b": b"2", "a//b": b"3"}
    copy = tmp_path / "copy"
    dss_here(env, "download", BUNDLE, "--to", copy)
    assert verified(env, copy, "--bundle", BUNDLE) == (0, [])

    (copy / "a" / "b~1").write_text("x")

    assert verified(env, copy, "--bundle", BUNDLE) == (1, ["~ a//b"])


def test_diff_compares_versions_and_directories(env: dict[str, str], tmp_path: Path) -> None:
    same = dss_here(env, "diff", BUNDLE, FQID)
    assert (same.code, same.out) == (0, f"{FQID} -> {FQID}: 4 files are the same\n")

    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.json").write_text("[2]")
    (tmp_path / "b.csv").write_text("1\n")
    (tmp_path / "new").write_text("new")
    other = dss_here(env, "diff", BUNDLE, tmp_path, "--json")

    assert other.code == 1
    assert {name: other.json[name] for name in ("added", "removed", "changed", "same")} == {
        "added": ["new"],
        "removed": ["Links.json", "raw/b.csv"],
        "changed": ["raw/a.json"],
        "same": 1,
    }
    assert dss_here(env, "diff", BUNDLE, tmp_path / "nowhere").code == 1
