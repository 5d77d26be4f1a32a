"""Further replicas: from one setting to open stores."""

import json
from dataclasses import MISSING, fields
from datetime import timedelta

import pytest

from local.issuer.keys import Key, write_service_account
from shared.config import Settings
from shared.stores.gcs import GoogleCloudStorage
from shared.stores.posix import PosixDirectory
from shared.stores.s3 import S3
from shared.wiring import open_index, open_replicas

REQUIRED = {
    row.metadata["name"]: "x"
    for row in fields(Settings)
    if row.default is MISSING and row.default_factory is MISSING
}


@pytest.fixture
def opened(monkeypatch, tmp_path):
    """Open the replicas of a setting, with credentials that open nothing."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    (tmp_path / "key").write_bytes(bytes(range(65, 97)))
    key = tmp_path / "service-account.json"
    write_service_account(key, Key.new(), email="a@example.org", project="x", token_url="http://127.0.0.1:9")

    def open_them(*replicas, **settings):
        environment = {**REQUIRED, "DSS_GS_SIGNING_KEY_FILE": str(key), **settings}
        environment["DSS_EXTRA_REPLICAS"] = json.dumps(replicas)
        return open_replicas(Settings.from_environment(environment))

    return open_them


def replica(name, scheme, **options):
    return {
        "name": name,
        "scheme": scheme,
        "bucket": f"{name}-main",
        "checkout_bucket": f"{name}-out",
        **options,
    }


def directory(tmp_path, name="disk", **options):
    wanted = {
        "root": str(tmp_path),
        "signing_key_file": str(tmp_path / "key"),
        "url": "https://x/",
        **options,
    }
    return replica(name, "file", **wanted)


def test_without_the_setting_there_are_two(opened):
    assert opened().names == ("gcp", "aws")


def test_replicas_of_every_kind_are_opened_in_order(opened, tmp_path):
    replicas = opened(
        replica("gcp-eu", "gs"),
        replica("minio", "s3", endpoint_url="http://127.0.0.1:9"),
        directory(tmp_path),
    )
    assert replicas.names == ("gcp", "aws", "gcp-eu", "minio", "disk")
    kinds = {"gcp-eu": GoogleCloudStorage, "minio": S3, "disk": PosixDirectory}
    for name, kind in kinds.items():
        found = replicas.named(name)
        assert isinstance(found.store, kind)
        assert (found.bucket, found.checkout_bucket) == (f"{name}-main", f"{name}-out")
    assert replicas.of_scheme("gs").name == "gcp"


def test_two_replicas_of_one_cloud_share_its_store(opened, tmp_path):
    replicas = opened(
        replica("gcp-eu", "gs"),
        replica("aws-eu", "s3"),
        replica("aws-far", "s3", region="eu-west-1"),
        directory(tmp_path, "one"),
        directory(tmp_path, "two"),
        directory(tmp_path, "three", root="/elsewhere"),
    )
    store = {name: replicas.named(name).store for name in replicas.names}
    assert store["gcp-eu"] is store["gcp"]
    assert store["aws-eu"] is store["aws"] is not store["aws-far"]
    assert store["one"] is store["two"] is not store["three"]


def test_a_signed_url_of_a_directory_leads_to_the_api(opened, tmp_path):
    for settings, options in (({}, {}), ({"DSS_PUBLIC_URL": "https://x"}, {"url": ""})):
        wanted = directory(tmp_path, **options)
        store = opened(wanted, **settings).named("disk").store
        url = store.sign_get("disk-main", "a", lifetime=timedelta(minutes=1))
        assert url.startswith("https://x/objects/disk-main/a?expires=")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"scheme": "ftp"}, "'ftp' is none of gs, s3, file"),
        ({"colour": "blue"}, "colour"),
        ({"url": ""}, "DSS_PUBLIC_URL"),
    ],
)
def test_what_cannot_be_opened_is_refused_by_its_name(opened, tmp_path, change, why):
    with pytest.raises(ValueError, match=why):
        opened({**directory(tmp_path), **change})


def test_an_option_that_is_missing_is_named(opened):
    with pytest.raises(ValueError, match=r"replica disk: .*'root'"):
        opened(replica("disk", "file"))


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("{}", "a JSON list"),
        ("[", "not JSON"),
        ("[1]", "a JSON object"),
        ('[{"name": 1}]', "values are strings"),
        ('[{"name": "a"}]', "scheme: missing"),
        ('[{"name": "gcp", "scheme": "gs", "bucket": "b", "checkout_bucket": "c"}]', "'gcp' is in use"),
        ('[{"name": "A b", "scheme": "gs", "bucket": "b", "checkout_bucket": "c"}]', "form"),
    ],
)
def test_a_setting_of_another_form_is_refused(value, why):
    with pytest.raises(ValueError, match=f"DSS_EXTRA_REPLICAS.*{why}"):
        Settings.from_environment({**REQUIRED, "DSS_EXTRA_REPLICAS": value})


def index_of(name):
    return open_index(Settings.from_environment({**REQUIRED, "DSS_INDEX": name}), "the catalog")


def test_a_package_may_add_a_back_end_of_the_index(tmp_path, monkeypatch):
    (tmp_path / "another_index.py").write_text("def open_it(settings, kept): return settings.index, kept")
    (tmp_path / "broken_index.py").write_text("raise RuntimeError('nobody asked for this one')")
    described = tmp_path / "another-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: another\nVersion: 1.0\n")
    rows = "[dss.index]\nanother = another_index:open_it\nbroken = broken_index:open_it\n"
    (described / "entry_points.txt").write_text(rows)
    monkeypatch.syspath_prepend(tmp_path)

    assert index_of("another") == ("another", "the catalog")
    with pytest.raises(ValueError, match="no back end 'other'; use one of another, broken, firestore"):
        index_of("other")
