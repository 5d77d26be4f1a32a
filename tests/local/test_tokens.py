"""The token issuer, request by request."""

from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest

from local.issuer.claims import TOKEN_SECONDS
from local.issuer.keys import Key
from local.issuer.kinds import GCLOUD_CLIENT
from local.issuer.server import create_app

ISSUER = "http://issuer.example.org"


@pytest.fixture(scope="module")
def key():
    return Key.new()


@pytest.fixture
def issuer(key):
    return create_app(ISSUER, key, {"robot@p.iam.gserviceaccount.com": key}).test_client()


def claims(answer):
    """Return what the token of an answer says, unverified."""
    assert answer.status_code == 200, answer.text
    return jwt.decode(answer.json["access_token"], options={"verify_signature": False})


def test_a_form_serves_as_well_as_json(issuer):
    wanted = {"email": "a@example.org", "group": "g", "ttl": "60", "claims": '{"aud": "x"}'}
    for answer in (issuer.post("/token", data=wanted), issuer.post("/token", json=wanted)):
        said = claims(answer)
        assert (said["email"], said["group"], said["aud"], said["iss"]) == ("a@example.org", "g", "x", ISSUER)
        assert said["exp"] - said["iat"] == 60
        assert answer.json["expires_in"] == 60


def test_claims_can_be_changed_and_removed(issuer):
    wanted = {"email": "a@example.org", "claims": {"email": None, "exp": None, "custom": ["x"]}}
    said = claims(issuer.post("/token", json=wanted))
    assert "email" not in said
    assert "exp" not in said
    assert said["custom"] == ["x"]


def test_a_foreign_key_is_not_the_published_one(issuer, key):
    token = issuer.post("/token", json={"email": "a@example.org", "foreign_key": True}).json["access_token"]
    published = {row["kid"] for row in issuer.get("/.well-known/jwks.json").json["keys"]}
    assert published == {key.key_id}
    assert jwt.get_unverified_header(token)["kid"] not in published


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        ({}, "email"),
        ({"email": 3}, "email"),
        ({"email": "a@example.org", "ttl": "soon"}, "ttl"),
        ({"email": "a@example.org", "claims": "[1"}, "claims"),
        ({"email": "a@example.org", "claims": [1]}, "claims"),
        ({"email": "a@example.org", "colour": "red"}, "colour"),
        ({"email": "a@example.org", "kind": "saml"}, "kind must be one of own, other"),
        ([], "object"),
    ],
)
def test_what_is_not_understood_is_refused_and_named(issuer, wanted, named):
    answer = issuer.post("/token", json=wanted)
    assert answer.status_code == 400
    assert answer.json["error"] == "invalid_request"
    assert named in answer.json["error_description"]


def test_only_a_known_service_account_has_keys(issuer, key):
    known = issuer.get("/service_accounts/v1/jwk/robot@p.iam.gserviceaccount.com").json
    assert [row["kid"] for row in known["keys"]] == [key.key_id]
    assert issuer.get("/service_accounts/v1/jwk/other@p.iam.gserviceaccount.com").status_code == 404


@pytest.mark.parametrize(
    ("hint", "email"), [({}, "writer@example.org"), ({"login_hint": "b@x.org"}, "b@x.org")]
)
def test_who_signs_in_is_sent_back_with_a_code_and_gets_tokens_for_it_and_later(issuer, hint, email):
    asked = {"redirect_uri": "http://localhost:8080/?a=b", "state": "s+1", "audience": "x", **hint}
    back = urlsplit(issuer.get("/authorize", query_string=asked).headers["Location"])
    assert (back.netloc, back.path) == ("localhost:8080", "/")
    said = dict(parse_qsl(back.query))
    assert (said["a"], said["state"]) == ("b", "s+1")

    got = issuer.post("/token", data={"grant_type": "authorization_code", "code": said["code"]})
    # requests-oauthlib sends what its caller gave the request, too.
    renewal = {
        "grant_type": "refresh_token",
        "refresh_token": got.json["refresh_token"],
        "params": "x",
        "json": "y",
    }
    for answer in (got, issuer.post("/token", data=renewal)):
        said = claims(answer)
        assert (said["email"], said["group"]) == (email, "dss")
        assert answer.json["expires_in"] > 0


def test_a_sign_in_that_lacks_what_it_needs_is_refused_and_that_is_named(issuer):
    for answer, named in (
        (issuer.get("/authorize"), "redirect_uri"),
        (issuer.post("/token", data={"grant_type": "refresh_token"}), "refresh_token"),
        (issuer.post("/token", data={"grant_type": "authorization_code", "code": ""}), "code"),
    ):
        assert answer.status_code == 400
        assert named in answer.json["error_description"]


def test_each_kind_of_token_has_the_claims_and_the_published_key_of_its_issuer(issuer):
    robot = "robot@p.iam.gserviceaccount.com"
    kinds = {
        "own": (ISSUER, "/.well-known/jwks.json"),
        "other": (f"{ISSUER}/other", "/other/.well-known/jwks.json"),
        "google": ("https://accounts.google.com", "/google/certs"),
        "service-account": (robot, f"/service_accounts/v1/jwk/{robot}"),
    }
    for kind, (signer, keys_path) in kinds.items():
        answer = issuer.post("/token", json={"kind": kind, "email": "a@example.org", "group": "g"})
        [published] = issuer.get(keys_path).json["keys"]
        verified = jwt.decode(
            answer.json["access_token"],
            jwt.PyJWK(published),
            ["RS256"],
            options={"verify_aud": False},
            issuer=signer,
        )
        assert verified["exp"] - verified["iat"] == TOKEN_SECONDS
    configuration = issuer.get("/other/.well-known/openid-configuration").json
    assert configuration["issuer"] == f"{ISSUER}/other"
    assert configuration["jwks_uri"] == f"{ISSUER}/other/.well-known/jwks.json"


def test_an_access_token_is_opaque_and_an_endpoint_tells_whose_it_is_while_it_lives(issuer):
    wanted = {"kind": "access", "email": "a@example.org", "ttl": 60, "claims": {"scope": "openid"}}
    token = issuer.post("/token", json=wanted).json["access_token"]
    assert token.startswith("ya29.")
    for answer in (
        issuer.get("/tokeninfo", query_string={"access_token": token}),
        issuer.post("/tokeninfo", data={"access_token": token}),
    ):
        said = answer.json
        assert (said["email"], said["email_verified"], said["scope"]) == ("a@example.org", "true", "openid")
        assert said["aud"] == said["azp"] == GCLOUD_CLIENT
        assert 50 < int(said["expires_in"]) <= 60
    expired = issuer.post("/token", json={**wanted, "ttl": -1}).json["access_token"]
    for unknown in (expired, "ya29.x", ""):
        answer = issuer.get("/tokeninfo", query_string={"access_token": unknown})
        assert (answer.status_code, answer.json["error"]) == (400, "invalid_token")
