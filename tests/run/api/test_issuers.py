"""Sign-in at several issuers, with every kind of token that the local issuer makes, by the running API."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests

from local.api import api_process
from local.errors import ComponentFailed
from local.issuer.kinds import GCLOUD_CLIENT, GOOGLE, KINDS, OTHER_AUDIENCE
from tests.support.api import Api, assert_problem, new_uuid, now


def try_to_write(api: Api, token: str | None = None, **headers: str):
    """Return the answer to a PUT of an empty bundle: 201 for those who may write."""
    body = {"files": [], "creator_uid": 1}
    return api.signed_in(token).put(
        f"/v1/bundles/{new_uuid()}", json=body, headers=headers, replica="gcp", version=now()
    )


def named(answer) -> str:
    """Return the reason for which somebody was let in, but may not write: it has their e-mail address."""
    assert_problem(answer, 403, "Forbidden", "is not a member")
    title: str = answer.json()["title"]
    return title


def token_of(
    stack, kind: str, email: str = "a@example.org", group: Any = None, /, *, ttl: int | None = None, **claims
) -> str:
    """Return a token of a kind, with some claims changed; `foreign_key` is one of them."""
    fields: dict[str, Any] = {"kind": kind, "email": email, "group": group, "claims": claims}
    fields |= {} if ttl is None else {"ttl": ttl}
    fields["foreign_key"] = claims.pop("foreign_key", False)
    answer = requests.post(stack["DSS_LOCAL_TOKEN_URL"], json=fields, timeout=60).json()
    token: str = answer["access_token"]
    return token


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_of_each_kind_says_who_it_is(api, stack, kind):
    token = token_of(stack, kind)
    account = json.loads(Path(stack["DSS_LOCAL_SERVICE_ACCOUNT_KEY_FILE"]).read_text())["client_email"]
    expected = account if kind == "service-account" else "a@example.org"
    # The second time an access token is known.
    for _ in range(2):
        assert expected in named(try_to_write(api, token))


@pytest.mark.parametrize("kind", ["own", "other", "service-account"])
def test_groups_are_read_from_the_claims_of_the_issuer(api, stack, kind):
    for group in ("dss", ["other", "dss"]):
        assert try_to_write(api, token_of(stack, kind, "a@example.org", group)).status_code == 201


def test_the_domain_that_google_vouches_for_can_be_a_group(stack):
    with api_process(stack, {"DSS_WRITE_GROUPS": "lab.example.org", "DSS_SECURED": "search.post"}) as process:
        api = Api(process.url)
        assert try_to_write(api, token_of(stack, "google", "a@lab.example.org")).status_code == 201
        named(try_to_write(api, token_of(stack, "google", "a@example.org")))
        check_secured_search(api, stack)


def check_secured_search(api: Api, stack) -> None:
    """An operation that only the setting secures takes every token, of members of no group as well."""
    query = {"es_query": {"query": {"match_all": {}}}}
    answer = api.post("/v1/search", json=query, replica="gcp")
    assert_problem(answer, 401, "Unauthorized")
    for kind in ("own", "access"):
        answer = api.signed_in(token_of(stack, kind)).post("/v1/search", json=query, replica="gcp")
        assert answer.status_code in (200, 206)
    assert_problem(try_to_write(api, token_of(stack, "own")), 403, "Forbidden")
    assert api.get("/v1/bundles/all", replica="gcp").status_code in (200, 206)
    paths = api.get("/v1/swagger.json").json()["paths"]
    assert paths["/search"]["post"]["security"] == [{"dcpAuth": []}]
    assert "401" in paths["/search"]["post"]["responses"]
    assert "security" not in paths["/bundles/all"]["get"]


@pytest.mark.parametrize("name", [GOOGLE, "accounts.google.com", GOOGLE + "/"])
def test_google_names_itself_with_and_without_the_scheme(api, stack, name):
    named(try_to_write(api, token_of(stack, "google", iss=name)))


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("other", {"aud": "dss-local"}),
        ("other", {"mail": None, "email": "a@example.org"}),
        ("other", {"foreign_key": True}),
        ("google", {"aud": "dss-local"}),
        ("google", {"aud": OTHER_AUDIENCE}),
        ("google", {"email_verified": False}),
        ("google", {"email_verified": None}),
        ("other", {"email_verified": None}),
        ("google", {"foreign_key": True}),
        ("google", {"ttl": -60}),
        ("service-account", {"foreign_key": True}),
    ],
)
def test_a_token_is_judged_by_the_rules_of_its_own_issuer(api, stack, kind, changes):
    assert_problem(
        try_to_write(api, token_of(stack, kind, "a@example.org", "dss", **changes)), 401, "Unauthorized"
    )


def test_an_issuer_cannot_sign_for_another(api, stack):
    own, other = stack["OIDC_ISSUER"], stack["OIDC_ISSUER"] + "/other"
    for kind, claims in (
        ("other", {"iss": own, "aud": "dss-local", "email": "a@example.org"}),
        ("own", {"iss": other, "aud": OTHER_AUDIENCE, "mail": "a@example.org"}),
        ("own", {"iss": GOOGLE, "aud": GCLOUD_CLIENT}),
    ):
        answer = try_to_write(api, token_of(stack, kind, **claims))
        assert_problem(answer, 401, "Unauthorized", "no key")


def test_the_claims_of_one_issuer_do_not_count_in_tokens_of_another(api, stack):
    named(try_to_write(api, token_of(stack, "own", groups=["dss"])))
    named(try_to_write(api, token_of(stack, "google", groups=["dss"])))


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another-app", "azp": "another-app"},
        {"aud": None, "azp": None},
        {"aud": [GCLOUD_CLIENT], "azp": None},
        {"email": None},
        {"email_verified": "false"},
        {"email_verified": None},
        {"ttl": -1},
        # The client of a service account's token is its number; this account's project is not trusted.
        {"aud": "108", "azp": "108", "email": "pet@elsewhere.iam.gserviceaccount.com"},
        # A person's token of an app with a number for a name.
        {"aud": "108", "azp": "108"},
    ],
)
def test_an_access_token_that_proves_nothing_here_is_401(api, stack, changes):
    token = token_of(stack, "access", **changes)
    for _ in range(2):
        answer = try_to_write(api, token)
        assert_problem(answer, 401, "Unauthorized")
        assert token not in answer.text


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another-app"},
        {"azp": "another-app"},
        {"aud": "108", "azp": "108", "email": "pet@dss-local.iam.gserviceaccount.com"},
    ],
)
def test_an_access_token_counts_by_its_audience_its_client_or_its_account(api, stack, changes):
    assert changes.get("email", "a@example.org") in named(
        try_to_write(api, token_of(stack, "access", **changes))
    )


def test_many_requests_at_once_with_a_new_access_token_are_all_answered(api, stack):
    token = token_of(stack, "access")
    with ThreadPoolExecutor(24) as threads:
        answers = list(threads.map(lambda _: try_to_write(api, token), range(24)))
    assert [answer.status_code for answer in answers] == [403] * 24


def test_an_admin_is_one_with_every_kind_of_token(api, stack):
    for kind in ("other", "google", "access"):
        assert try_to_write(api, token_of(stack, kind, stack["ADMIN_USER_EMAILS"])).status_code == 201


def shape(answer) -> Any:
    """Return all of an answer but what is the request's own: its id, time, and the words of the reason."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    for varying in ("x-request-id", "date", "content-length"):
        headers.pop(varying, None)
    body = answer.json()
    assert body.pop("title")
    return answer.status_code, headers, body


def test_every_401_has_one_shape(api, stack):
    good = stack["DSS_TOKEN"]
    tokens = {
        "none": {},
        "empty": {"Authorization": ""},
        "another scheme": {"Authorization": "Basic dXNlcjpwYXNz"},
        "no token": {"Authorization": "Bearer"},
        "rubbish": {"Authorization": "Bearer rubbish"},
        "not a JWT": {"Authorization": "Bearer a.b.c"},
        "changed": {"Authorization": f"Bearer {good[:-8]}AAAAAAAA"},
        "no signature": {"Authorization": f"Bearer {good.rpartition('.')[0]}."},
        "unknown access token": {"Authorization": f"Bearer ya29.{'x' * 100}"},
        **{
            f"{kind} {changes}": {"Authorization": f"Bearer {token_of(stack, kind, **changes)}"}
            for kind, changes in (
                ("own", {"ttl": -60}),
                ("own", {"aud": "x"}),
                ("own", {"iss": None}),
                ("own", {"email": None}),
                ("own", {"foreign_key": True}),
                ("other", {"aud": "x"}),
                ("google", {"email_verified": False}),
                ("access", {"azp": "x", "aud": "x"}),
                ("access", {"ttl": -60}),
                ("service-account", {"foreign_key": True}),
            )
        },
    }
    shapes = {name: shape(try_to_write(api.signed_in(None), **headers)) for name, headers in tokens.items()}
    first = shapes["none"]
    assert first[0] == 401
    assert first[1]["www-authenticate"] == "Bearer"
    assert first[2] == {"status": 401, "code": "Unauthorized"}
    assert {name: found for name, found in shapes.items() if found != first} == {}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"DSS_SECURED": "files.get,files.fetch,search"}, "DSS_SECURED: files.fetch, search"),
        ({"OIDC_ISSUERS": '[{"issuer": "https://a.example"}]'}, "OIDC_ISSUERS[0].audiences"),
    ],
)
def test_a_wrong_setting_of_sign_in_ends_the_start_and_is_named(stack, settings, reason):
    with pytest.raises(ComponentFailed) as failed, api_process(stack, settings):
        pass
    assert reason in str(failed.value)


def test_tokens_of_all_kinds_but_the_opaque_are_signed_as_they_say(stack):
    for kind in KINDS:
        token = token_of(stack, kind)
        if kind == "access":
            with pytest.raises(jwt.DecodeError):
                jwt.get_unverified_header(token)
        else:
            assert jwt.get_unverified_header(token)["alg"] == "RS256"
