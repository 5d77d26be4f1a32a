"""`dss export` against the whole system: to a disk, and to buckets of both clouds."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bagit
import pytest
from bdbag import bdbag_api
from rocrate.rocrate import ROCrate

from dss.client import Client
from dss.errors import InvalidInput
from dss.export import to_directory
from dss.export.export import ExportOptions
from dss.export.export import export as export_bundles
from dss.export.forms import Form
from dss.export.to_bucket import BucketDestination
from dss.export.to_directory import DirectoryDestination
from dss.references import parse
from dss.transfer import buckets
from dss.transfer.download import download
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_file
from tests.support.checkouts import read_objects, user_bucket
from tests.support.clouds import SCHEMES, Clouds, checksum_metadata
from tests.support.command_line import Outcome, dss_here

FILES = {"cells/ünïcode 100%.json": b'{"organ": "brain"}', "raw/reads": b"GATTACA"}
SIZE = sum(map(len, FILES.values()))


@pytest.fixture(scope="module")
def clouds(whole_system: dict[str, str]) -> Clouds:
    return Clouds(whole_system)


@pytest.fixture(scope="module")
def env(whole_system: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {**whole_system, "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture(scope="module")
def bundles(whole_system: dict[str, str], clouds: Clouds) -> dict[str, Version]:
    """A bundle on each replica."""
    api = Api(whole_system["DSS_URL"], whole_system["DSS_TOKEN"])
    return {replica: _bundle(api, clouds, replica, FILES) for replica in SCHEMES}


@pytest.fixture
def client(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Client]:
    """A function that makes a client of a replica, for the tests that stop it half-way."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    return lambda replica: Client(env["DSS_URL"], env["DSS_TOKEN"], replica=replica)


def _bundle(api: Api, clouds: Clouds, replica: str, files: dict[str, bytes]) -> Version:
    names = [
        put_file(api, clouds.stage(replica, data, content_type="text/plain")).named(name)
        for name, data in files.items()
    ]
    return put_bundle(api, replica, names)


def exported(env: dict[str, str], form: str, to: object, *arguments: object) -> Outcome:
    return dss_here(env, "export", *arguments, "--to", to, "--as", form, "--json")


def done(outcome: Outcome) -> dict[str, Any]:
    assert outcome.code == 0, outcome.err + outcome.out
    found: dict[str, Any] = outcome.json
    return found


def tree(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def test_a_bag_on_a_disk_is_valid_has_the_checksums_of_the_dss_and_is_made_once(
    env: dict[str, str], bundles: dict[str, Version], tmp_path: Path
) -> None:
    bundle = bundles["gcp"]

    planned = done(exported(env, "bag", tmp_path / "bags", bundle.uuid, "--dry-run"))
    assert list(tmp_path.iterdir()) == []
    report = done(exported(env, "bag", tmp_path / "bags", bundle.uuid))
    again = done(exported(env, "bag", tmp_path / "bags", bundle))

    target = tmp_path / "bags" / str(bundle)
    assert bagit.Bag(str(target)).validate()
    bdbag_api.validate_bag(str(target), fast=False)
    sums = checksum_metadata(FILES["raw/reads"], "")
    for name in ("sha1", "sha256"):
        assert f"{sums[name]}  data/raw/reads\n" in (target / f"manifest-{name}.txt").read_text()
    assert [path.name for path in target.parent.iterdir()] == [str(bundle)]
    assert report["locations"] == again["locations"] == planned["locations"] == [str(target)]
    assert (report["exported"], report["files"], report["bytes"]) == (1, len(FILES), SIZE)
    assert (again["exported"], again["already_there"]) == (0, 1)
    assert dss_here(env, "verify", target / "data").code == 0


def test_crates_and_plain_directories_hold_the_files(
    env: dict[str, str], bundles: dict[str, Version], tmp_path: Path
) -> None:
    bundle = bundles["aws"]
    options = (bundle.uuid, "--replica", "aws")

    done(exported(env, "ro-crate", tmp_path / "crates", *options))
    done(exported(env, "plain", tmp_path / "plain", *options))
    again = [done(exported(env, form, tmp_path / to, *options)) for form, to in _FORMS]

    crate = ROCrate(tmp_path / "crates" / str(bundle))
    found = {entity["name"]: Path(entity.source).read_bytes() for entity in crate.data_entities}
    assert found == FILES
    assert tree(tmp_path / "plain" / str(bundle)) == FILES
    assert [one["already_there"] for one in again] == [1, 1]


_FORMS = (("ro-crate", "crates"), ("plain", "plain"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda bag: (bag / "data" / "raw" / "reads").write_bytes(b"GATTACC"), "raw/reads has other content"),
        (lambda bag: (bag / "data" / "raw" / "reads").unlink(), "raw/reads is missing"),
        (lambda bag: (bag / "data" / "more").write_bytes(b"x"), "more is no part of it"),
        (lambda bag: (bag / "manifest-sha256.txt").write_text("x"), "manifest-sha256.txt is another one"),
        (lambda bag: (bag / "bagit.txt").unlink(), "bagit.txt is missing"),
    ],
)
def test_what_is_there_already_and_is_not_the_export_is_refused(
    env: dict[str, str],
    bundles: dict[str, Version],
    tmp_path: Path,
    spoil: Callable[[Path], object],
    words: str,
) -> None:
    bundle = bundles["gcp"]
    done(exported(env, "bag", tmp_path, bundle))
    spoil(tmp_path / str(bundle))
    before = tree(tmp_path)

    refused = exported(env, "bag", tmp_path, bundle)

    assert refused.code == 1
    assert words in refused.json["failed"][0]["why"]
    assert tree(tmp_path) == before


def test_another_form_needs_another_place_and_a_file_is_none(
    env: dict[str, str], bundles: dict[str, Version], tmp_path: Path
) -> None:
    done(exported(env, "bag", tmp_path / "x", bundles["gcp"]))
    (tmp_path / "file").write_text("")

    other = exported(env, "plain", tmp_path / "x", bundles["gcp"])
    file = exported(env, "plain", tmp_path / "file", bundles["gcp"])

    assert (other.code, file.code) == (1, 1)
    assert "is no such export" in other.json["failed"][0]["why"]
    assert "file is not a directory" in file.err


def test_one_bundle_that_fails_is_named_and_the_others_are_exported(
    env: dict[str, str], bundles: dict[str, Version], tmp_path: Path
) -> None:
    missing = Version(new_uuid(), now())

    some = exported(env, "bag", tmp_path, missing, bundles["gcp"])

    assert some.code == 1
    assert [row["name"] for row in some.json["failed"]] == [str(missing)]
    assert some.json["exported"] == 1
    assert bagit.Bag(str(tmp_path / str(bundles["gcp"]))).validate()


def test_a_holey_bag_is_filled_by_bdbag(
    env: dict[str, str], bundles: dict[str, Version], tmp_path: Path
) -> None:
    bundle = bundles["gcp"]
    bag = tmp_path / str(bundle)

    done(exported(env, "bag", tmp_path, bundle, "--holey"))
    again = done(exported(env, "bag", tmp_path, bundle, "--holey"))

    assert tree(bag / "data") == {}
    assert again["already_there"] == 1
    assert bdbag_api.resolve_fetch(str(bag))
    bdbag_api.validate_bag(str(bag), fast=False)
    assert tree(bag / "data") == FILES
    filled = [done(exported(env, "bag", tmp_path, bundle, *options)) for options in (("--holey",), ())]
    assert [one["already_there"] for one in filled] == [1, 1]


def test_nothing_is_seen_before_it_is_complete_and_a_retry_fetches_nothing_again(
    bundles: dict[str, Version],
    client: Callable[[str], Client],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session, wanted = client("gcp"), [parse(str(bundles["gcp"]))]
    options = ExportOptions(form=Form(name="bag"))
    destination = DirectoryDestination(session, tmp_path / "bags")
    received: list[int] = []

    def counted(*arguments: Any) -> Any:
        report = download(*arguments)
        received.append(report.received)
        return report

    def killed(self: Path, target: Path) -> None:
        if str(bundles["gcp"]) in target.name and "dss-export" in self.name:
            raise KeyboardInterrupt
        rename(self, target)

    rename = Path.rename
    monkeypatch.setattr(to_directory, "download", counted)
    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        export_bundles(session, wanted, destination, options)
    [part] = (tmp_path / "bags").iterdir()
    monkeypatch.setattr(Path, "rename", rename)
    report = export_bundles(session, wanted, destination, options)

    assert part.name == f".dss-export-bag-{bundles['gcp']}"
    assert (report.ok, report.exported, received) == (True, 1, [SIZE, 0])
    assert bagit.Bag(str(tmp_path / "bags" / str(bundles["gcp"]))).validate()
    assert not part.exists()


@pytest.mark.parametrize("replica", SCHEMES)
def test_a_bag_in_a_bucket_is_made_of_what_the_cloud_copied(
    env: dict[str, str], clouds: Clouds, bundles: dict[str, Version], replica: str, tmp_path: Path
) -> None:
    bundle, bucket = bundles[replica], user_bucket(clouds, replica)
    to = f"{SCHEMES[replica]}://{bucket}"

    report = done(exported(env, "bag", to, bundle))
    again = done(exported(env, "bag", to, bundle))

    objects = read_objects(clouds, replica, bucket, "b")
    assert {key.partition("/")[0] for key in objects} == {"bags"}
    for key, (content, _) in objects.items():
        path = tmp_path / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    bag = tmp_path / "bags" / str(bundle)
    assert bagit.Bag(str(bag)).validate()
    assert tree(bag / "data") == FILES
    assert objects[f"bags/{bundle}/data/raw/reads"][1] == "text/plain"
    assert report["locations"] == [f"{to}/bags/{bundle}"]
    assert (again["exported"], again["already_there"]) == (0, 1)


def test_plain_exports_and_crates_in_a_bucket_are_checkouts(
    env: dict[str, str], clouds: Clouds, bundles: dict[str, Version], tmp_path: Path
) -> None:
    bundle, bucket = bundles["gcp"], user_bucket(clouds, "gcp")
    to = f"gs://{bucket}"
    # Its checkout is removed at the end.
    done(exported(env, "bag", to, bundle))

    plain = done(exported(env, "plain", to, bundle))
    found = read_objects(clouds, "gcp", bucket, f"bundles/{bundle}/")
    crate = done(exported(env, "ro-crate", to, bundle))
    again = done(exported(env, "ro-crate", to, bundle))
    done(exported(env, "bag", to, bundle))

    assert {key.removeprefix(f"bundles/{bundle}/"): content for key, (content, _) in found.items()} == FILES
    assert plain["locations"] == crate["locations"] == [f"{to}/bundles/{bundle}"]
    after = read_objects(clouds, "gcp", bucket, f"bundles/{bundle}/")
    assert after.keys() - found.keys() == {f"bundles/{bundle}/ro-crate-metadata.json"}
    content, content_type = after[f"bundles/{bundle}/ro-crate-metadata.json"]
    (tmp_path / "ro-crate-metadata.json").write_bytes(content)
    assert {entity["name"] for entity in ROCrate(tmp_path).data_entities} == set(FILES)
    assert content_type == "application/ld+json"
    assert again["already_there"] == 1


@pytest.mark.parametrize(("form", "base"), [("plain", "bundles"), ("ro-crate", "bundles"), ("bag", "bags")])
def test_below_a_prefix_there_is_the_export_and_nothing_else(
    clouds: Clouds, bundles: dict[str, Version], client: Callable[[str], Client], form: Any, base: str
) -> None:
    bundle, bucket = bundles["gcp"], user_bucket(clouds, "gcp")
    to = f"gs://{bucket}/a/b/"
    here = client("gcp")

    report = here.export(str(bundle), to=to, form=form)
    again = here.export(str(bundle), to=to, form=form)

    place = f"a/b/{base}/{bundle}"
    assert (report.ok, report.locations) == (True, [f"gs://{bucket}/{place}"])
    assert (again.exported, again.already_there) == (0, 1)
    objects = read_objects(clouds, "gcp", bucket, "")
    payload = f"{place}/data/" if form == "bag" else f"{place}/"
    assert {name: objects[f"{payload}{name}"][0] for name in FILES} == FILES
    others = {key for key in objects if not key.startswith(".dss-checkout-allowed")}
    assert all(key.startswith(f"{place}/") for key in others)
    assert len(others) == len(FILES) + {"plain": 0, "ro-crate": 1, "bag": 6}[form]


def test_a_client_of_one_cloud_exports_to_no_other(client: Callable[[str], Client]) -> None:
    with pytest.raises(InvalidInput, match="is in the cloud of aws"):
        client("gcp").export(new_uuid(), to="s3://bucket/prefix", form="plain")


@pytest.mark.parametrize("replica", SCHEMES)
@pytest.mark.parametrize("stop", ["copy", "manifest-sha256.txt", "bagit.txt", "delete"])
def test_a_bag_in_a_bucket_that_was_killed_is_none_until_a_retry_completes_it(
    clouds: Clouds,
    bundles: dict[str, Version],
    client: Callable[[str], Client],
    stop: str,
    replica: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bundle, bucket = bundles[replica], user_bucket(clouds, replica)
    session, options = client(replica), ExportOptions(form=Form(name="bag"))
    destination = BucketDestination(session, f"{SCHEMES[replica]}://{bucket}", options.form)
    kind = {"gcp": buckets._GsBucket, "aws": buckets._S3Bucket}[replica]

    def dying(name: str) -> Callable[..., Any]:
        whole = getattr(kind, name)

        def call(self: Any, key: str, *more: Any) -> Any:
            if name == stop or key.endswith(f"/{stop}"):
                raise KeyboardInterrupt
            return whole(self, key, *more)

        return call

    with monkeypatch.context() as patches:
        for name in ("copy", "write", "delete"):
            patches.setattr(kind, name, dying(name))
        with pytest.raises(KeyboardInterrupt):
            export_bundles(session, [parse(str(bundle))], destination, options)
    left = read_objects(clouds, replica, bucket, f"bags/{bundle}/")
    assert (f"bags/{bundle}/bagit.txt" in left) is (stop == "delete")

    report = export_bundles(session, [parse(str(bundle))], destination, options)

    assert (report.ok, report.exported) == (True, 1)
    keys = read_objects(clouds, replica, bucket, "b").keys()
    wanted = {f"data/{name}" for name in FILES} | {"bagit.txt", "bag-info.txt"}
    wanted |= {f"{prefix}manifest-{name}.txt" for prefix in ("", "tag") for name in ("sha1", "sha256")}
    assert keys == {f"bags/{bundle}/{name}" for name in wanted}


def test_a_bucket_with_something_else_in_the_place_of_a_bag_is_left_alone(
    env: dict[str, str], clouds: Clouds, bundles: dict[str, Version]
) -> None:
    bundle, bucket = bundles["gcp"], user_bucket(clouds, "gcp")
    clouds.stage("gcp", b"mine", bucket=bucket, key=f"bags/{bundle}/data/mine")

    refused = exported(env, "bag", f"gs://{bucket}", bundle)

    assert refused.code == 1
    assert "'data/mine' is no part of it" in refused.json["failed"][0]["why"]
    assert list(read_objects(clouds, "gcp", bucket, "b")) == [f"bags/{bundle}/data/mine"]


@pytest.mark.parametrize(
    ("to", "form", "words"),
    [
        ("gs://bucket//prefix", "plain", "or gs://BUCKET/PREFIX without empty steps"),
        ("s3://bucket/../prefix", "bag", "or gs://BUCKET/PREFIX without empty steps"),
        ("https://example.org", "plain", "is not of the form gs://BUCKET or s3://BUCKET"),
        ("gs://", "plain", "is not of the form gs://BUCKET or s3://BUCKET"),
    ],
)
def test_other_urls_are_no_destinations(to: str, form: str, words: str) -> None:
    refused = dss_here({"DSS_URL": "http://127.0.0.1:9"}, "export", new_uuid(), "--to", to, "--as", form)

    assert (refused.code in (1, 2), refused.out) == (True, "")
    assert words in refused.err


def test_a_bucket_in_another_cloud_than_the_replica_is_refused(env: dict[str, str]) -> None:
    refused = exported(env, "plain", "s3://bucket", new_uuid(), "--replica", "gcp")

    assert refused.code == 2
    assert "s3://bucket is in the cloud of aws" in refused.err


def test_a_bucket_that_does_not_exist_is_named_with_what_to_do(
    env: dict[str, str], bundles: dict[str, Version]
) -> None:
    refused = exported(env, "bag", f"gs://no-{new_uuid()}", bundles["gcp"])

    assert refused.code == 1
    assert "check the name of the bucket in --to" in json.loads(refused.out)["failed"][0]["why"]
