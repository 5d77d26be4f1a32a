"""Sign-in: which tokens prove a caller, and who may write."""

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from local.issuer.client import request_token
from shared.groups import add_members
from tests.run.api.conftest import OLD_AUDIENCE, OLD_CLAIMS
from tests.run.api.test_access import bind
from tests.support.api import Api, Version, assert_problem, new_uuid, now, put_file
from tests.support.waiting import wait_until

SERVICE_ACCOUNT = "ingest@{project}.iam.gserviceaccount.com"


def try_to_write(api: Api, token: str | None = None, **headers: str):
    """Return the answer to a PUT of an empty bundle: 201 for those who may write."""
    body = {"files": [], "creator_uid": 1}
    query = {"replica": "gcp", "version": now()}
    return api.signed_in(token).put(f"/v1/bundles/{new_uuid()}", json=body, headers=headers, **query)


def encoded(value: Any) -> str:
    """Return a part of a JWT."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def key_of(stack) -> dict[str, str]:
    """Return the service account whose key the local issuer publishes."""
    key: dict[str, str] = json.loads(Path(stack["DSS_LOCAL_SERVICE_ACCOUNT_KEY_FILE"]).read_text())
    return key


def signed_by_issuer(stack, **claims: Any) -> str:
    """Return the token of a writer, with some claims changed."""
    fields = {"email": "a@example.org", "group": "dss", "claims": claims}
    token: str = requests.post(stack["DSS_LOCAL_TOKEN_URL"], json=fields, timeout=60).json()["access_token"]
    return token


def self_signed(stack, audience: str, **claims: Any) -> str:
    """Return a token that a service account signed for itself, as the old clients make them."""
    key = key_of(stack)
    email, began = key["client_email"], time.time()
    payload = {"iss": email, "sub": email, "email": email, "aud": audience, "iat": began, "exp": began + 3600}
    payload = {name: value for name, value in {**payload, **claims}.items() if value is not None}
    return jwt.encode(payload, key["private_key"], "RS256", headers={"kid": key["private_key_id"]})


def test_members_of_the_write_group_may_write(api, stack):
    for group in ("dss", ["other", "dss"]):
        assert try_to_write(api, request_token(stack, "a@example.org", group)).status_code == 201


def test_admins_may_write_without_a_group(api, stack):
    assert try_to_write(api, request_token(stack, stack["ADMIN_USER_EMAILS"])).status_code == 201


@pytest.mark.parametrize("group", [None, "other", ["other", "ds"], [], ""])
def test_members_of_other_groups_may_not_write(api, stack, group):
    answer = try_to_write(api, request_token(stack, "a@example.org", group))
    assert_problem(answer, 403, "Forbidden", "a@example.org")


@pytest.mark.parametrize(
    "header",
    [
        *("", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer rubbish", "Bearer a.b.c", "Bearer ...."),
        *("Bearer " + "x" * 7000, "Token abc", "Bearer W10.W10.W10"),
    ],
)
def test_a_malformed_token_is_401(api, header):
    assert_problem(try_to_write(api, Authorization=header), 401, "Unauthorized")


def test_without_a_token_it_is_401(api):
    answer = try_to_write(api)
    assert_problem(answer, 401, "Unauthorized", "Authorization")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "changes",
    [{"ttl": -60}, {"aud": "somebody else"}, {"aud": None}, {"foreign_key": True}, {"exp": None}],
)
def test_a_token_that_proves_nothing_is_401(api, stack, changes):
    assert_problem(
        try_to_write(api, request_token(stack, "a@example.org", "dss", **changes)), 401, "Unauthorized"
    )


@pytest.mark.parametrize(
    "email", [None, "", 5, ["a@example.org"], {}, "\ud800@example.org", "a\n@example.org", "a" * 300]
)
def test_a_token_without_an_email_is_401(api, stack, email):
    token = signed_by_issuer(stack, email=email)
    assert_problem(try_to_write(api, token), 401, "Unauthorized", "email")


@pytest.mark.parametrize("verified", [False, "false", 0])
def test_an_email_that_the_issuer_has_not_verified_is_401(api, stack, verified):
    token = signed_by_issuer(stack, email_verified=verified)
    assert_problem(try_to_write(api, token), 401, "Unauthorized", "email_verified")


@pytest.mark.parametrize("verified", [True, "true", None])
def test_an_email_that_is_verified_or_without_that_claim_is_accepted(api, stack, verified):
    assert try_to_write(api, signed_by_issuer(stack, email_verified=verified)).status_code < 401


def test_one_accepted_audience_among_others_suffices(api, stack):
    token = request_token(stack, "a@example.org", "dss", aud=["somebody else", stack["OIDC_AUDIENCE"]])
    assert try_to_write(api, token).status_code == 201


@pytest.mark.parametrize(
    "claims",
    [
        {"group": 5},
        {"group": {"dss": True}},
        {"group": [5, None]},
        {"group": True},
        {"group": None},
        {"group": "dss,other"},
    ],
)
def test_groups_of_any_form_let_nobody_in_by_mistake(api, stack, claims):
    assert_problem(try_to_write(api, signed_by_issuer(stack, **claims)), 403, "Forbidden")


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": "soon"},
        {"exp": 1e300},
        {"exp": [1]},
        {"iat": "x"},
        {"aud": 5},
        {"aud": []},
        {"nbf": 1e12},
        {"sub": 5},
        {"jti": []},
    ],
)
def test_claims_of_any_form_never_break_the_api(api, stack, claims):
    assert try_to_write(api, signed_by_issuer(stack, **claims)).status_code in (201, 401)


@pytest.mark.parametrize(
    "issuer", ["https://issuer.example.org", "attacker@elsewhere.iam.gserviceaccount.com"]
)
def test_a_token_of_another_issuer_is_403(api, stack, issuer):
    answer = try_to_write(api, request_token(stack, "a@example.org", "dss", iss=issuer))
    assert_problem(answer, 403, "Forbidden", "issuer")


@pytest.mark.parametrize("issuer", [None, ""])
def test_a_token_without_an_issuer_is_401(api, stack, issuer):
    answer = try_to_write(api, signed_by_issuer(stack, iss=issuer))
    assert_problem(answer, 401, "Unauthorized", "issuer")


def test_an_issuer_may_have_a_trailing_slash(api, stack):
    token = request_token(stack, "a@example.org", "dss", iss=stack["OIDC_ISSUER"] + "/")
    assert try_to_write(api, token).status_code == 201


def test_an_unsigned_token_is_401(api, stack):
    header, claims, _ = stack["DSS_TOKEN"].split(".")
    kid = jwt.get_unverified_header(stack["DSS_TOKEN"])["kid"]
    for algorithm in ("none", "None", "NONE"):
        unsigned = f"{encoded({'alg': algorithm, 'kid': kid, 'typ': 'JWT'})}.{claims}."
        assert_problem(try_to_write(api, unsigned), 401, "Unauthorized")
    assert_problem(try_to_write(api, f"{header}.{claims}."), 401, "Unauthorized")


def test_a_token_signed_with_the_public_key_as_a_secret_is_401(api, stack):
    [jwk] = api.get(f"{stack['OIDC_ISSUER']}/.well-known/jwks.json").json()["keys"]
    public = jwt.PyJWK(jwk).key
    assert isinstance(public, rsa.RSAPublicKey)
    secret = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    claims = stack["DSS_TOKEN"].split(".")[1]
    signed = f"{encoded({'alg': 'HS256', 'kid': jwk['kid'], 'typ': 'JWT'})}.{claims}"
    signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    assert_problem(try_to_write(api, f"{signed}.{encoded(signature)}"), 401, "Unauthorized")


def test_a_changed_token_is_401(api, stack):
    header, _, signature = stack["DSS_TOKEN"].split(".")
    claims = jwt.decode(stack["DSS_TOKEN"], options={"verify_signature": False})
    changed = encoded({**claims, "email": stack["ADMIN_USER_EMAILS"]})
    assert_problem(try_to_write(api, f"{header}.{changed}.{signature}"), 401, "Unauthorized")


@pytest.mark.parametrize("kid", ["unknown", "", None, 5, ["x"], "../../etc/passwd"])
def test_a_token_with_an_unknown_key_id_is_401(api, stack, kid):
    _, claims, signature = stack["DSS_TOKEN"].split(".")
    header = encoded({"alg": "RS256", "typ": "JWT", **({} if kid is None else {"kid": kid})})
    assert_problem(try_to_write(api, f"{header}.{claims}.{signature}"), 401, "Unauthorized")


def test_a_trusted_service_account_signs_its_own_tokens(api, stack):
    token = self_signed(stack, stack["OIDC_AUDIENCE"], group="dss")
    assert isinstance(jwt.decode(token, options={"verify_signature": False})["exp"], float)
    assert try_to_write(api, token).status_code == 201


def test_a_service_account_without_an_email_claim_counts_by_its_name(api, stack):
    assert (
        try_to_write(api, self_signed(stack, stack["OIDC_AUDIENCE"], email=None, group="dss")).status_code
        == 201
    )
    answer = try_to_write(api, self_signed(stack, stack["OIDC_AUDIENCE"], email=None))
    assert_problem(answer, 403, "Forbidden", key_of(stack)["client_email"])


def test_a_service_account_without_the_group_is_403(api, stack):
    answer = try_to_write(api, self_signed(stack, stack["OIDC_AUDIENCE"]))
    assert_problem(answer, 403, "Forbidden", key_of(stack)["client_email"])


def test_a_service_account_proves_no_group_but_those_that_write(api, stack, clouds, dss):
    secret, open_to_writers = (put_file(api, clouds.stage("gcp", b"kept")) for _ in range(2))
    group = f"secret-{new_uuid()}"
    bind(dss, secret.uuid, group)
    bind(dss, open_to_writers.uuid, "dss")
    account = api.signed_in(self_signed(stack, stack["OIDC_AUDIENCE"], group=["dss", group]))

    def status(file: Version) -> int:
        return account.head(f"/v1/files/{file.uuid}", replica="gcp").status_code

    assert (status(secret), status(open_to_writers)) == (403, 200)
    bundle = {"files": [], "creator_uid": 1}
    query = {"replica": "gcp", "version": now(), "owner_group": group}
    answer = account.put(f"/v1/bundles/{new_uuid()}", json=bundle, **query)
    assert_problem(answer, 403, "Forbidden", group)

    # What the system says of the account counts.
    add_members(dss, group, [key_of(stack)["client_email"]], "operator@example.org")
    wait_until(lambda: status(secret) == 200, "the membership does not count", 10)


def test_the_claims_and_audience_of_old_deployments_can_be_configured(configured, stack):
    email = key_of(stack)["client_email"]
    claims = {f"{OLD_CLAIMS}/group": "hca", f"{OLD_CLAIMS}/email": email, "scope": ["email", "openid"]}
    assert try_to_write(configured, self_signed(stack, OLD_AUDIENCE, **claims)).status_code == 201
    # And the new ones work beside them.
    assert try_to_write(configured, stack["DSS_TOKEN"]).status_code == 201


@pytest.mark.parametrize(
    "email",
    [
        SERVICE_ACCOUNT.format(project="elsewhere"),
        SERVICE_ACCOUNT.format(project="dss-local.evil"),
        "ingest@evil.org/?x=@dss-local.iam.gserviceaccount.com",
        "a@dss-local.iam.gserviceaccount.com.evil.org",
        "dss-local.iam.gserviceaccount.com",
    ],
)
def test_service_accounts_of_other_projects_are_403(api, stack, email):
    token = self_signed(stack, stack["OIDC_AUDIENCE"], iss=email, sub=email, email=email, group="dss")
    assert_problem(try_to_write(api, token), 403, "Forbidden", "issuer")


def test_a_service_account_speaks_for_itself_only(api, stack):
    token = self_signed(stack, stack["OIDC_AUDIENCE"], email=stack["ADMIN_USER_EMAILS"], group="dss")
    assert_problem(try_to_write(api, token), 403, "Forbidden", "issuer")
    token = self_signed(stack, stack["OIDC_AUDIENCE"], sub="somebody", group="dss")
    assert_problem(try_to_write(api, token), 403, "Forbidden", "issuer")


def test_an_unknown_account_of_a_trusted_project_is_401(api, stack):
    email = SERVICE_ACCOUNT.format(project=stack["GOOGLE_CLOUD_PROJECT"]).replace("ingest", "stranger")
    token = self_signed(stack, stack["OIDC_AUDIENCE"], iss=email, sub=email, email=email, group="dss")
    assert_problem(try_to_write(api, token), 401, "Unauthorized")


def test_while_the_issuer_is_down_it_is_503(without_issuer, stack):
    token = request_token(stack, "a@example.org", "dss", iss="http://127.0.0.1:9")
    answer = try_to_write(without_issuer, token)
    assert_problem(answer, 503, "service_unavailable", "keys")
    assert answer.headers["Retry-After"] == "10"
    # Who needs no sign-in is served.
    assert without_issuer.get("/v1/bundles/all", replica="gcp").status_code in (200, 206)


LISTS = [
    ("GET", "/v1/bundles/all", None),
    ("GET", "/v1/events", None),
    ("POST", "/v1/search", {"es_query": {"query": {"match_all": {}}}}),
]


@pytest.mark.parametrize(("method", "path", "body"), LISTS)
def test_while_the_issuer_is_down_a_list_is_503_for_who_may_be_a_reader(
    without_issuer, stack, method, path, body
):
    def listed(**changes: Any):
        token = request_token(stack, "a@example.org", "dss", **changes)
        return without_issuer.signed_in(token).request(method, path, json=body, replica="gcp")

    answer = listed(iss="http://127.0.0.1:9")
    assert_problem(answer, 503, "service_unavailable", "keys")
    assert answer.headers["Retry-After"] == "10"
    # What proves nothing in any case does not matter for what everybody may read.
    for changes in (
        {"iss": "http://127.0.0.1:9", "ttl": -60},
        {"iss": "https://old.example.org"},
        {"iss": None},
    ):
        assert listed(**changes).status_code in (200, 206)


def test_while_the_issuer_is_down_what_is_hidden_seems_not_to_be_there(
    api, without_issuer, stack, clouds, dss
):
    hidden, shown = (put_file(api, clouds.stage("gcp", b"kept")) for _ in range(2))
    bind(dss, hidden.uuid, "lab")
    asker = without_issuer.signed_in(request_token(stack, "a@example.org", "lab", iss="http://127.0.0.1:9"))

    answers = [asker.get(f"/v1/files/{uuid}", replica="gcp") for uuid in (hidden.uuid, new_uuid())]

    for answer in answers:
        assert_problem(answer, 404, "not_found")
    assert asker.head(f"/v1/files/{shown.uuid}", replica="gcp").status_code == 200


SECURED = [
    ("PUT", "/v1/files/{uuid}"),
    ("PUT", "/v1/bundles/{uuid}"),
    ("PATCH", "/v1/bundles/{uuid}"),
    ("DELETE", "/v1/bundles/{uuid}"),
    ("GET", "/v1/subscriptions"),
    ("PUT", "/v1/subscriptions"),
    ("GET", "/v1/collections"),
    ("PUT", "/v1/collections"),
    ("PATCH", "/v1/collections/{uuid}"),
    ("DELETE", "/v1/collections/{uuid}"),
]


@pytest.mark.parametrize(("method", "path"), SECURED)
def test_every_secured_operation_checks_sign_in_first(anyone, stack, method, path):
    path = path.format(uuid=new_uuid())
    assert_problem(anyone.request(method, path), 401, "Unauthorized")
    stranger = anyone.signed_in(stack["DSS_TOKEN_OTHER_GROUP"])
    assert_problem(stranger.request(method, path), 403, "Forbidden")


@pytest.mark.parametrize("header", ["Bearer rubbish", "Basic x", ""])
def test_open_operations_ignore_tokens(anyone, header):
    headers = {"Authorization": header}
    answer = anyone.get(f"/v1/files/{new_uuid()}", replica="gcp", headers=headers)
    assert_problem(answer, 404, "not_found")
