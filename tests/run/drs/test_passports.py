"""Passports in the bodies of requests, good and bad; the API accepts those of the local issuer."""

import hmac
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from local.api import api_process
from local.issuer.claims import ISSUER_KEY_FILE
from local.issuer.client import request_token
from local.issuer.keys import Key
from shared.bindings import change_binding
from shared.system import Dss
from tests.support.api import Api, Version, new_uuid, put_bundle, put_file
from tests.support.clouds import Clouds
from tests.support.drs import Drs
from tests.support.passports import DATASET, HOLDER, passport, passport_settings, visa

GROUP = f"study-{new_uuid()}"
CONTENT = b"managed content"


@pytest.fixture(scope="module")
def env(stack: dict[str, str]) -> dict[str, str]:
    return stack


@pytest.fixture(scope="module")
def drs(stack: dict[str, str]) -> Iterator[Drs]:
    """DRS that accepts passports, asked without a token."""
    with api_process(stack, passport_settings(stack, GROUP)) as process:
        yield Drs(Api(process.url))


@pytest.fixture(scope="module")
def file(stack: dict[str, str], api: Api, dss: Dss) -> Version:
    """A file for members of GROUP only."""
    put = put_file(api, Clouds(stack).stage("gcp", CONTENT))
    bind(dss, put, GROUP)
    return put


def bind(dss: Dss, what: Version, group: str) -> None:
    readers = frozenset((group,))
    change_binding(dss, what.uuid, "operator@example.org", lambda before: replace(before, readers=readers))


def asked(drs: Drs, file: Version, *passports: Any) -> requests.Response:
    return drs.post(f"/objects/{file}", {"passports": list(passports)})


def test_a_visa_opens_what_its_group_may_read(drs: Drs, env: dict[str, str], file: Version) -> None:
    body = {"passports": [passport(env, visa(env))]}

    found = drs.post(f"/objects/{file}", body)
    method = found.json()["access_methods"][0]
    access = drs.post(f"/objects/{file}/access/{method['access_id']}", body).json()
    of_many = drs.post("/objects", {"bulk_object_ids": [str(file)], **body}).json()
    pairs = [{"bulk_object_id": str(file), "bulk_access_ids": [method["access_id"]]}]
    urls = drs.post("/objects/access", {"bulk_object_access_ids": pairs, **body}).json()

    assert (found.status_code, found.json()["size"]) == (200, len(CONTENT))
    assert requests.get(access["url"], timeout=60).content == CONTENT
    assert of_many["resolved_drs_object"] == [found.json()]
    assert urls["summary"]["resolved"] == 1


def test_options_say_that_passports_help(drs: Drs, env: dict[str, str], file: Version) -> None:
    found = drs.options(f"/objects/{file}").json()

    assert found["supported_types"] == ["BearerAuth", "PassportAuth"]
    assert found["passport_auth_issuers"] == [env["OIDC_ISSUER"]]


def test_without_a_passport_it_is_401(drs: Drs, file: Version) -> None:
    for body in ({}, {"passports": []}):
        assert drs.post(f"/objects/{file}", body).status_code == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"conditions": [[{"type": "AffiliationAndRole", "value": "const:faculty@example.org"}]]},
        {"value": f"{DATASET}1"},
        {"source": "https://other.example.org"},
        {"by": "self"},
        {"type": "ResearcherStatus"},
        {"asserted": int(time.time()) + 3600},
        {"ttl": -60},
        {"foreign_key": True},
        # Signed by the issuer of the passport, who is no issuer of visas.
        {"kind": "own"},
        # The same, in the name of the issuer of visas: its keys have no such id.
        {"kind": "own", "claim_iss": "other"},
        {"claim_aud": "https://other.example.org"},
        {"claim_ga4gh_visa_v1": "text"},
    ],
)
def test_a_visa_that_does_not_count_gives_nothing(
    drs: Drs, env: dict[str, str], file: Version, changes: dict[str, Any]
) -> None:
    if changes.get("claim_iss") == "other":
        changes = {**changes, "claim_iss": f"{env['OIDC_ISSUER']}/other"}

    refused = asked(drs, file, passport(env, visa(env, **changes)))

    assert (refused.status_code, refused.json()["status_code"]) == (403, 403)
    assert "may not read it" in refused.json()["msg"]
    # One that counts beside it does.
    assert asked(drs, file, passport(env, visa(env, **changes), visa(env))).status_code == 200


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"ttl": -60}, 401),
        ({"foreign_key": True}, 401),
        ({"ga4gh_passport_v1": None}, 401),
        ({"ga4gh_passport_v1": "text"}, 401),
        ({"sub": None}, 401),
        ({"sub": "a\nb"}, 401),
        ({"exp": None}, 401),
        ({"aud": "https://other.example.org"}, 401),
        ({"iss": "https://other.example.org"}, 403),
        ({"iss": None}, 403),
        # A visa's issuer issues no passports.
        ({"kind": "other"}, 403),
    ],
)
def test_a_bad_passport_gives_nothing_although_its_visa_is_good(
    drs: Drs, env: dict[str, str], file: Version, changes: dict[str, Any], status: int
) -> None:
    refused = asked(drs, file, passport(env, visa(env), **changes))

    assert refused.status_code == status
    assert refused.json()["msg"].startswith("passports[0]: ")


def test_a_passport_for_this_deployment_counts(drs: Drs, env: dict[str, str], file: Version) -> None:
    assert asked(drs, file, passport(env, visa(env), aud="https://dss.example.org")).status_code == 200


def forged(env: dict[str, str], algorithm: str, key: Any, **header: Any) -> str:
    """Return a passport that anybody could make, with the id of the issuer's key."""
    real = passport(env, visa(env))
    claims = jwt.decode(real, options={"verify_signature": False})
    return jwt.encode(claims, key, algorithm=algorithm, headers={**jwt.get_unverified_header(real), **header})


def encoded(text: str) -> str:
    """Return a text as a part of a token."""
    return urlsafe_b64encode(text.encode()).decode().strip("=")


def by_secret(env: dict[str, str], secret: bytes) -> str:
    """Return a passport that is signed by HMAC, which jwt.encode refuses with such a secret."""
    header, payload, _ = forged(env, "none", None, alg="none").split(".")
    header = (
        urlsafe_b64encode(urlsafe_b64decode(header + "==").replace(b'"none"', b'"HS256"')).decode().strip("=")
    )
    signature = hmac.digest(secret, f"{header}.{payload}".encode(), "sha256")
    return f"{header}.{payload}.{urlsafe_b64encode(signature).decode().strip('=')}"


def test_only_signatures_by_the_issuers_keys_count(drs: Drs, env: dict[str, str], file: Version) -> None:
    own = Key.new()
    issuer = Key.read(Path(env["DSS_LOCAL_DATA"]) / "keys" / ISSUER_KEY_FILE)
    good = asked(drs, file, forged(env, "RS256", issuer.private))
    assert good.status_code == 200, good.text
    public = issuer.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for text in (
        forged(env, "none", None, alg="none"),
        # The public key, known to all, as a secret.
        by_secret(env, public),
        forged(env, "RS256", own.private),
        forged(env, "RS256", own.private, kid="other"),
        forged(env, "RS256", own.private, jwk=own.jwk()),
        forged(env, "RS256", own.private, jku=f"{env['OIDC_ISSUER']}/.well-known/jwks.json", kid=""),
        # For something else, by its type.
        forged(env, "RS256", issuer.private, typ="at+jwt"),
        forged(env, "RS256", issuer.private, typ="vnd.ga4gh.visa+jwt"),
        # A type that is no text, and a header and claims that are nested too deep to be read.
        forged(env, "RS256", issuer.private, typ=["JWT"]),
        f"{encoded('[' * 100_000)}.e30.e30",
        f"{encoded('{}')}.{encoded('[' * 100_000)}.e30",
        # Right keys, other algorithm.
        forged(env, "RS512", issuer.private, alg="RS512"),
    ):
        assert asked(drs, file, text).status_code == 401, text[:200]


def test_tokens_and_passports_are_not_taken_for_each_other(
    drs: Drs, env: dict[str, str], file: Version
) -> None:
    good = passport(env, visa(env))
    token = request_token(env, HOLDER, GROUP)
    assert drs.signed_in(token).get(f"/objects/{file}").status_code == 200
    assert asked(drs, file, token).status_code == 401
    assert drs.signed_in(good).get(f"/objects/{file}").status_code == 401
    assert asked(drs, file, visa(env)).status_code == 403
    # A visa as a visa's neighbour, not inside a passport.
    assert asked(drs, file, good, visa(env)).status_code == 403


def test_a_passport_writes_nothing(drs: Drs, env: dict[str, str]) -> None:
    good = passport(env, visa(env), group="dss")
    answer = drs.api.signed_in(good).put(f"/v1/bundles/{new_uuid()}", replica="gcp", json={"files": []})
    assert answer.status_code == 401


def test_passports_of_two_people_are_refused(drs: Drs, env: dict[str, str], file: Version) -> None:
    refused = asked(drs, file, passport(env), passport(env, visa(env), sub="somebody else"))

    assert refused.status_code == 401
    assert "different holders" in refused.json()["msg"]


def test_a_token_and_a_passport_add_up(
    drs: Drs, env: dict[str, str], api: Api, dss: Dss, file: Version
) -> None:
    group = f"lab-{new_uuid()}"
    other = put_file(api, Clouds(env).stage("gcp", b"other"))
    bind(dss, other, group)
    member = drs.signed_in(request_token(env, HOLDER, group))
    ids = {"bulk_object_ids": [str(file), str(other)]}

    assert member.post("/objects", ids).json()["summary"]["resolved"] == 1
    both = {**ids, "passports": [passport(env, visa(env))]}
    assert member.post("/objects", both).json()["summary"]["resolved"] == 2


def test_too_much_is_refused(drs: Drs, env: dict[str, str], file: Version) -> None:
    good = passport(env, visa(env))
    for passports, status, part in (
        ([good] * 11, 400, "10"),
        (["x" * 600_000], 400, "524,288"),
        ([""], 401, "[0]"),
        (["a.b.c"], 401, "[0]"),
    ):
        refused = asked(drs, file, *passports)
        assert (refused.status_code, part in refused.json()["msg"]) == (status, True)
    of_many = passport(env, *[visa(env)] * 201)
    refused = asked(drs, file, of_many)
    assert (refused.status_code, "200 visas" in refused.json()["msg"]) == (400, True)
    assert asked(drs, file, 1).status_code == 400


def test_what_everybody_may_read_needs_no_good_passport(drs: Drs, api: Api, env: dict[str, str]) -> None:
    public = put_file(api, Clouds(env).stage("gcp", b"public"))

    assert asked(drs, public, "no passport").status_code == 200
    assert drs.options(f"/objects/{public}").json()["supported_types"] == ["None"]


def test_a_visa_gives_nothing_that_belongs_to_a_person(drs: Drs, api: Api, env: dict[str, str]) -> None:
    """Neither what an e-mail address owns, nor what its domain may read, by a subject that looks like it."""
    good = passport(env, visa(env), sub="writer@example.org")
    put = put_bundle(api, "gcp", [])
    collection = {"name": "x", "description": "", "details": {}, "contents": [put.linked("bundle")]}
    uuid, version = new_uuid(), put.version
    made = api.put("/v1/collections", json=collection, uuid=uuid, version=version, replica="gcp")
    assert made.status_code == 201

    assert drs.post(f"/objects/{uuid}.{version}", {"passports": [good]}).status_code == 403


def test_the_audit_log_names_the_holder(drs: Drs, env: dict[str, str], file: Version) -> None:
    subject = f"holder-{new_uuid()}"
    assert asked(drs, file, passport(env, visa(env), sub=subject)).status_code == 200

    lines = Path(env["DSS_AUDIT_LOG"]).read_text().splitlines()
    [line] = [json.loads(one) for one in lines if subject in one]
    assert (line["identity"], line["issuer"]) == (f"passport:{subject}", env["OIDC_ISSUER"])


def test_without_the_setting_passports_count_for_nothing(
    anyone: Api, env: dict[str, str], file: Version
) -> None:
    plain = Drs(anyone)

    assert asked(plain, file, passport(env, visa(env))).status_code == 401
    assert plain.options(f"/objects/{file}").json()["supported_types"] == ["BearerAuth"]
