"""Whose bucket is a source or a destination for whom: by settings, and by the proof in a bucket."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.access import STRANGER, BucketPolicy, Principal, Proof, Verdict
from shared.bucket_rules import BucketRule
from shared.config import Settings
from tests.shared.test_config import REQUIRED

ADA = Principal(email="ada@example.org", groups=frozenset(("dss", "lab-a")))
BOB = Principal(email="bob@example.org", groups=frozenset(("dss",)))
ADMIN = Principal(email="admin@example.org", is_admin=True)
OWN = (
    "gs://main",
    "gs://checkout",
    "gs://reports",
    "s3://main",
    "s3://checkout",
    "file://third",
    "file://third-out",
)


def policy(**settings: object) -> BucketPolicy:
    """Return the policy of a deployment with both staging buckets, three replicas, and further settings."""
    third = {"name": "third", "scheme": "file", "bucket": "third", "checkout_bucket": "third-out"}
    named = {
        **REQUIRED,
        "DSS_GS_BUCKET": "main",
        "DSS_GS_CHECKOUT_BUCKET": "checkout",
        "DSS_S3_BUCKET": "main",
        "DSS_S3_CHECKOUT_BUCKET": "checkout",
        "DSS_REPORTS_BUCKET": "reports",
        "DSS_GS_STAGING_BUCKET": "staging",
        "DSS_S3_STAGING_BUCKET": "staging/in",
        "DSS_EXTRA_REPLICAS": json.dumps([third]),
        **{name: value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()},
    }
    return BucketPolicy.of(Settings.from_environment(named))


def rule(url: str, *groups: str) -> dict[str, object]:
    return {"url": url, "groups": groups}


EVERYWHERE = [rule(f"{scheme}://*", "signed-in") for scheme in ("gs", "s3", "file")]


@pytest.mark.parametrize("url", ["gs://staging/a", "gs://staging/a/b\nc", "s3://staging/in/a"])
def test_everybody_puts_files_from_staging(url: str) -> None:
    assert policy().source(BOB, url).is_allowed


@pytest.mark.parametrize(
    "url", ["s3://staging/a", "s3://staging/input", "gs://staging-2/a", "s3://other/a", "file://staging/a"]
)
def test_nobody_puts_files_from_what_no_setting_names(url: str) -> None:
    for who in (ADA, ADMIN):
        decision = policy().source(who, url)
        assert decision.verdict is Verdict.FORBIDDEN
        for word in (url, who.email, "gs://staging", "s3://staging/in", "an operator", "DSS_SOURCES"):
            assert word in decision.reason


def test_members_of_its_groups_put_files_from_what_a_pattern_names() -> None:
    found = policy(
        DSS_SOURCES=[rule("gs://lab-*/in/", "lab-a", "lab-b"), rule("s3://shared", "signed-in")],
        DSS_ACCESS_CONTACT="desk@example.org",
    )

    assert found.source(ADA, "gs://lab-1/in/x/y").is_allowed
    assert not found.source(ADA, "gs://lab-1/out/x").is_allowed
    assert not found.source(ADA, "gs://x/lab-1/in/y").is_allowed
    assert found.source(BOB, "s3://shared/x").is_allowed
    refused = found.source(BOB, "gs://lab-1/in/x/y")
    assert refused.verdict is Verdict.FORBIDDEN and "ask desk@example.org" in refused.reason
    assert found.source(STRANGER, "s3://shared/x").verdict is Verdict.UNAUTHORIZED


@pytest.mark.parametrize("bucket", OWN)
def test_the_systems_own_buckets_are_no_sources_and_no_destinations_for_anybody(bucket: str) -> None:
    found = policy(DSS_SOURCES=EVERYWHERE, DSS_DESTINATIONS=EVERYWHERE)

    for who in (ADA, ADMIN):
        assert found.source(who, f"{bucket}x/key").is_allowed
        refused = found.source(who, f"{bucket}/blobs/x")
        assert (
            refused.verdict is Verdict.FORBIDDEN and f"{bucket} is a bucket of this system" in refused.reason
        )
        assert found.lists(who, f"{bucket}x")
        assert not found.lists(who, bucket)
        assert found.may_name(who, bucket).verdict is Verdict.FORBIDDEN
        assert not found.proved(who, bucket, Proof(names=frozenset((who.email,)))).is_allowed


def test_staging_buckets_are_no_destinations() -> None:
    found = policy(DSS_DESTINATIONS=EVERYWHERE)

    for bucket in ("gs://staging", "s3://staging"):
        assert not found.lists(ADA, bucket)
        assert not found.proved(ADA, bucket, Proof(names=frozenset((ADA.email,)))).is_allowed


def test_members_of_its_groups_check_out_into_a_bucket_that_a_pattern_names() -> None:
    found = policy(DSS_DESTINATIONS=[rule("gs://lab-*", "lab-a")])

    assert found.lists(ADA, "gs://lab-1")
    assert not found.lists(BOB, "gs://lab-1")
    assert not found.lists(ADA, "s3://lab-1")
    assert not found.lists(ADMIN, "gs://lab-1")


@pytest.mark.parametrize(
    "content",
    [
        b"ada@example.org", b"bob@example.org\nada@example.org\n", b"lab-a\n", b"\r\n ada@example.org \r\n",
        b"\xef\xbb\xbfada@example.org\r\nx", "# J\u00fcrgen's\nlab-a".encode(),
    ],
)  # fmt: skip
def test_whom_a_line_of_the_proof_names_checks_out(content: bytes) -> None:
    assert policy().proved(ADA, "gs://own", Proof.parse(content)).is_allowed


@pytest.mark.parametrize(
    ("content", "flaw"),
    [
        (b"", "does not name you"),
        (b"ada@example.org bob@example.org", "does not name you"),
        (b"ADA@example.org\nlab-\npublic\nsigned-in", "does not name you"),
        ("ada@example.org".encode("utf-16"), "is not text in UTF-8"),
        (b"ada@example.org\n\xff", "is not text in UTF-8"),
    ],
)
def test_who_is_not_named_learns_what_to_put_where(content: bytes, flaw: str) -> None:
    decision = policy().proved(ADA, "s3://own", Proof.parse(content))

    assert decision.verdict is Verdict.FORBIDDEN
    for word in (flaw, "s3://own/.dss-checkout-allowed", "the line ada@example.org", "dss, lab-a"):
        assert word in decision.reason


@given(st.binary(max_size=200), st.booleans())
def test_a_proof_lets_in_no_stranger_and_no_admin_that_it_does_not_name(content: bytes, named: bool) -> None:
    proof = Proof.parse(b"admin@example.org" if named else content)
    of_nobody = Proof(names=proof.names | {""})

    assert policy().proved(ADMIN, "gs://own", proof).is_allowed == named
    assert policy().proved(STRANGER, "gs://own", of_nobody).verdict is Verdict.UNAUTHORIZED


def test_a_refusal_names_few_of_many_groups() -> None:
    many = dataclasses.replace(ADA, groups=frozenset(f"group-{number:03}" for number in range(200)))

    reason = policy().proved(many, "gs://own", Proof()).reason

    assert "group-002" in reason and "group-003" not in reason


BUCKETS = st.text("ab*", min_size=1, max_size=4)
KEYS = st.text("ab*/[?", max_size=6)


@given(BUCKETS, KEYS, st.text("ab", min_size=1, max_size=4), st.text("ab/[?\n", min_size=1, max_size=6))
def test_a_pattern_covers_what_it_names(own_bucket: str, own_key: str, bucket: str, key: str) -> None:
    found = BucketRule(url=f"gs://{own_bucket}/{own_key}", groups=frozenset())
    whole = own_key + "*" if own_key == "" or own_key.endswith("/") else own_key

    assert found.covers(f"gs://{bucket}/{key}") == (fits(bucket, own_bucket) and fits(key, whole))
    assert not found.covers(f"s3://{bucket}/{key}")


def fits(text: str, pattern: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(fits(text[start:], pattern[1:]) for start in range(len(text) + 1))
    return text[:1] == pattern[0] and fits(text[1:], pattern[1:])


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({}, "must be a JSON list"),
        (["gs://x"], r"\[0\]: must have `url` and `groups`"),
        ([{"url": "gs://x"}], r"\[0\]: must have `url` and `groups`"),
        ([{"url": "gs://x", "groups": ["a"], "group": "a"}], r"\[0\]: must have"),
        ([rule("gs://x", "a"), rule("x", "a")], r"\[1\]\.url: 'x' does not have the form"),
        ([rule("gs:///x", "a")], r"\.url"),
        ([{"url": 1, "groups": ["a"]}], r"\.url"),
        ([rule("gs://x")], r"\.groups: must be a list"),
        ([{"url": "gs://x", "groups": "lab"}], r"\.groups: must be a list"),
        ([rule("gs://x", "")], r"\.groups: must be a list"),
    ],
)
def test_a_malformed_rule_is_refused_with_its_place(members: object, words: str) -> None:
    with pytest.raises(ValueError, match=f"^DSS_SOURCES.*{words}"):
        policy(DSS_SOURCES=members)


def test_destinations_are_whole_buckets() -> None:
    assert policy(DSS_DESTINATIONS=[rule("gs://x/", "lab-a")]).lists(ADA, "gs://x")
    with pytest.raises(ValueError, match=r"^DSS_DESTINATIONS: 'gs://x/y' has a key; .* bucket: gs://x"):
        policy(DSS_DESTINATIONS=[rule("gs://x/y", "a")])
