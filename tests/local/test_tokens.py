"""The token issuer, request by request."""

from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest

from local.issuer.claims import AUDIENCE, TOKEN_SECONDS
from local.issuer.grants import challenge_of
from local.issuer.keys import Key
from local.issuer.kinds import GCLOUD_CLIENT
from local.issuer.server import create_app
from local.issuer.sign_in import DEVICE_GRANT

ISSUER = "http://issuer.example.org"


@pytest.fixture(scope="module")
def key():
    return Key.new()


@pytest.fixture(scope="module")
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


def test_a_program_without_a_browser_gets_a_code_for_whom_it_names_and_tokens_for_it_and_later(issuer):
    """As `hca login` does: without PKCE, with a secret, and so with a refresh token for many times."""
    target = "http://localhost:8080/?a=b"
    asked = {"redirect_uri": target, "state": "s+1", "audience": "x", "login_hint": "b@x.org"}
    back = urlsplit(issuer.get("/authorize", query_string=asked).headers["Location"])
    assert (back.netloc, back.path) == ("localhost:8080", "/")
    said = dict(parse_qsl(back.query))
    assert (said["a"], said["state"], said["iss"]) == ("b", "s+1", ISSUER)

    exchange = {"grant_type": "authorization_code", "code": said["code"], "redirect_uri": target}
    got = issuer.post("/token", data=exchange)
    # requests-oauthlib sends what its caller gave the request, too.
    renewal = {
        "grant_type": "refresh_token",
        "refresh_token": got.json["refresh_token"],
        "params": "x",
        "json": "y",
    }
    for answer in (got, issuer.post("/token", data=renewal), issuer.post("/token", data=renewal)):
        said = claims(answer)
        assert (said["email"], said["group"]) == ("b@x.org", "dss")
        assert answer.json["expires_in"] > 0


def test_a_sign_in_that_lacks_what_it_needs_is_refused_and_that_is_named(issuer):
    for answer, named in (
        (issuer.post("/token", data={"grant_type": "refresh_token"}), "refresh_token"),
        (issuer.post("/token", data={"grant_type": "authorization_code", "code": ""}), "code"),
        (issuer.post("/device_authorization", data={"client_id": "x"}), "client_id"),
        (issuer.post("/revoke"), "token"),
    ):
        assert answer.status_code == 400
        assert named in answer.json["error_description"]


@pytest.mark.parametrize("target", ["", "https://evil.example.org/", "http://evil.example.org/", "x"])
def test_nobody_is_sent_to_an_address_that_is_not_of_this_machine(issuer, target):
    for ask in (issuer.get, issuer.post):
        answer = ask("/authorize", query_string={"redirect_uri": target, "login_hint": "b@x.org"})
        assert (answer.status_code, "Location" in answer.headers) == (400, False)
        assert "redirect_uri" in answer.text


BACK = "http://127.0.0.1:9/"
VERIFIER = "v" * 43
PUBLIC = {"client_id": AUDIENCE, "redirect_uri": BACK, "code_challenge_method": "S256"}
PERSON = {"email": "a@example.org", "group": "g", "seconds": "60", "decision": "allow"}


def code_of(issuer, **more):
    asked = {**PUBLIC, "code_challenge": challenge_of(VERIFIER), **more}
    answer = issuer.post("/authorize", query_string=asked, data=PERSON)
    return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))["code"]


def exchange(issuer, code, **more):
    fields = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
    return issuer.post("/token", data={**PUBLIC, **fields, **more})


def refresh(issuer, token):
    fields = {"grant_type": "refresh_token", "refresh_token": token, "client_id": AUDIENCE}
    return issuer.post("/token", data=fields)


def test_a_program_may_name_itself_by_basic_authentication(issuer):
    def answer(client_id):
        fields = {"grant_type": "authorization_code", "code_verifier": VERIFIER}
        fields["code"] = code_of(issuer, scope="openid email other offline_access")
        fields["redirect_uri"] = PUBLIC["redirect_uri"]
        return issuer.post("/token", data=fields, auth=(client_id, "no-secret"))

    got = answer(AUDIENCE)
    assert (claims(got)["email"], got.json["scope"]) == (PERSON["email"], "openid email offline_access")
    assert answer("another").json["error"] == "invalid_grant"


def test_a_person_chooses_at_a_page_who_they_are(issuer):
    page = issuer.get("/authorize", query_string={**PUBLIC, "nonce": "n", "client_id": AUDIENCE})
    assert page.status_code == 200
    assert {f'name="{name}"' for name in PERSON} <= set(page.text.replace(">", " ").split())

    answer = exchange(issuer, code_of(issuer, nonce="n"))
    said = claims(answer)
    assert (said["email"], said["group"], said["exp"] - said["iat"]) == ("a@example.org", "g", 60)
    identity = jwt.decode(answer.json["id_token"], options={"verify_signature": False})
    assert (identity["nonce"], identity["aud"]) == ("n", AUDIENCE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"code_verifier": "w" * 43},
        {"code_verifier": ""},
        {"redirect_uri": "http://127.0.0.1:10/"},
        {"client_id": "other"},
    ],
)
def test_a_code_is_worth_nothing_to_who_did_not_ask_for_it(issuer, wrong):
    code = code_of(issuer)
    answer = exchange(issuer, code, **wrong)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")
    assert exchange(issuer, code).status_code == 400


def test_a_code_that_is_used_twice_ends_its_sign_in(issuer):
    code = code_of(issuer)
    token = exchange(issuer, code).json["refresh_token"]
    assert exchange(issuer, code).json["error"] == "invalid_grant"
    assert refresh(issuer, token).json["error"] == "invalid_grant"


def test_a_refresh_token_of_a_public_client_works_once_and_its_reuse_ends_the_sign_in(issuer):
    first = exchange(issuer, code_of(issuer)).json["refresh_token"]
    second = refresh(issuer, first).json["refresh_token"]
    third = refresh(issuer, second).json["refresh_token"]
    assert len({first, second, third}) == 3
    assert refresh(issuer, first).json["error"] == "invalid_grant"
    assert refresh(issuer, third).json["error"] == "invalid_grant"


def test_a_sign_in_that_is_revoked_has_ended(issuer):
    token = exchange(issuer, code_of(issuer)).json["refresh_token"]
    assert issuer.post("/revoke", data={"token": token}).status_code == 200
    assert refresh(issuer, token).json["error"] == "invalid_grant"
    assert issuer.post("/revoke", data={"token": "unknown"}).status_code == 200


@pytest.mark.parametrize("wrong", [{"code_challenge_method": "plain"}, {"response_type": "token"}])
def test_what_is_not_supported_is_said_to_the_program(issuer, wrong):
    asked = {**PUBLIC, "code_challenge": "x", "state": "s", **wrong}
    back = urlsplit(issuer.get("/authorize", query_string=asked).headers["Location"])
    said = dict(parse_qsl(back.query))
    assert (said["error"], said["state"]) == ("invalid_request", "s")


def test_a_device_waits_until_somebody_enters_its_code(issuer):
    got = issuer.post("/device_authorization", data={"client_id": AUDIENCE}).json
    fields = {"grant_type": DEVICE_GRANT, "device_code": got["device_code"], "client_id": AUDIENCE}

    def poll():
        return issuer.post("/token", data=fields).json

    assert poll()["error"] == "authorization_pending"
    assert poll()["error"] == "slow_down"
    assert issuer.post("/device", data={**PERSON, "user_code": "NONE"}).status_code == 400
    assert issuer.post("/device", data={**PERSON, "user_code": got["user_code"].lower()}).status_code == 200
    assert refresh(issuer, poll()["refresh_token"]).status_code == 200
    assert poll()["error"] == "invalid_grant"


def test_the_discovery_document_names_what_there_is(issuer):
    said = issuer.get("/.well-known/openid-configuration").json
    paths = {rule.rule for rule in issuer.application.url_map.iter_rules()}
    named = {value for name, value in said.items() if name.endswith(("_endpoint", "_uri"))}
    assert {url.removeprefix(ISSUER) for url in named} <= paths
    assert len(named) == 6
    assert said["code_challenge_methods_supported"] == ["S256"]


def test_the_bearer_of_a_token_learns_whose_it_is(issuer):
    token = issuer.post("/token", json={"email": "a@example.org"}).json["access_token"]
    said = issuer.get("/userinfo", headers={"Authorization": f"Bearer {token}"})
    assert said.json["email"] == "a@example.org"
    assert issuer.get("/userinfo").status_code == 401


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
