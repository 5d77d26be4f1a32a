"""Whose token `dss copy-bundles` sends to which side: never that of one DSS to the other."""

import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from dss.sign_in.store import LoginStore, StoredLogin
from tests.support.command_line import Outcome, dss_here
from tests.support.fake_dss import BUNDLE, VERSION, FakeDss, Fault

NAMED = ("--bundle", f"{BUNDLE}.{VERSION}")


@pytest.fixture
def source() -> Iterator[FakeDss]:
    """A DSS with a bundle of one file, whose URLs tell no bucket."""
    with FakeDss().serving() as server:
        server.names = {"a": b"abc"}
        yield server


def sign_in(url: str, token: str) -> None:
    """Store a login at a DSS that is valid for an hour."""
    LoginStore().save(
        StoredLogin(
            url=url,
            issuer="https://issuer.example.org",
            client_id="c",
            client_secret=None,
            token_endpoint="https://issuer.example.org/token",
            revocation_endpoint=None,
            token_type="id_token",
            token=token,
            refresh_token=None,
            refresh_at=time.time() + 3000,
            expires_at=time.time() + 3600,
            claims={},
        ),
        in_keyring=False,
    )


def copied(source: FakeDss, fake: FakeDss, tmp_path: Path, *options: str) -> Outcome:
    env = {
        "DSS_URL": fake.url,
        "DSS_TOKEN": "of.the.destination",
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }
    return dss_here(env, "copy-bundles", "--source", source.url, *options, *NAMED)


def tokens_at(server: FakeDss) -> set[str | None]:
    return {one.headers.get("Authorization") for one in server.seen}


@pytest.mark.parametrize("options", [(), ("--source-bucket", "gs://old")])
def test_the_source_gets_no_token_unless_there_is_one_for_it(
    source: FakeDss, fake: FakeDss, tmp_path: Path, options: tuple[str, ...]
) -> None:
    copied(source, fake, tmp_path, *options)
    assert tokens_at(source) == {None}
    source.seen.clear()

    sign_in(source.url, "of.the.source")
    copied(source, fake, tmp_path, *options)
    assert tokens_at(source) == {"Bearer of.the.source"}
    source.seen.clear()

    copied(source, fake, tmp_path, *options, "--source-token", "given")
    assert tokens_at(source) == {"Bearer given"}
    assert tokens_at(fake) <= {"Bearer of.the.destination"}


def test_personal_means_the_login_at_the_destination(source: FakeDss, fake: FakeDss, tmp_path: Path) -> None:
    source.row = lambda name: {  # type: ignore[method-assign]
        "name": name,
        "uuid": str(uuid4()),
        "version": VERSION,
        "size": 3,
        **dict.fromkeys(("sha256", "sha1", "s3_etag", "crc32c"), "aa"),
    }
    fake.broken["GET", f"/bundles/{BUNDLE}"] = Fault(status=404, body={"code": "not_found"})
    sign_in(fake.url, "of.ada")

    shared = copied(source, fake, tmp_path, "--source-bucket", "gs://old")
    assert (shared.code, tokens_at(fake)) == (0, {"Bearer of.the.destination"})
    assert set(fake.put_files.values()) == {"gs://old/blobs/aa.aa.aa.aa"}
    fake.seen.clear()

    copied(source, fake, tmp_path, "--source-bucket", "gs://old", "--personal")
    assert tokens_at(fake) == {"Bearer of.ada"}


def test_new_versions_that_are_not_complete_can_be_completed(
    source: FakeDss, fake: FakeDss, tmp_path: Path
) -> None:
    outcome = copied(source, fake, tmp_path, "--source-bucket", "gs://old", "--new-version")

    assert outcome.code == 1
    assert "dss: warning: to do the rest, run it again with --set-version 20" in outcome.err
