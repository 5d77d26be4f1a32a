"""Sign-in at the pages: who may see managed data does, and nobody else comes in, or is led elsewhere."""

import json
import time
from dataclasses import asdict, replace
from urllib.parse import urlencode

import pytest
import requests
from cryptography.fernet import Fernet

from run.account.sign_in import page_here
from run.browse.sessions import SESSION, Session, seal
from shared.secret_keys import secret_keys
from tests.run.account.conftest import CATALOGUE, LAB, Person, Site, query_of

PROJECTS = f"/browse/projects?catalog={CATALOGUE}"
ATTEMPT = "dss-sign-in"


def found(person: Person) -> int:
    """Return how many bundles somebody finds."""
    return len(person.get(f"/browse/bundles?catalog={CATALOGUE}").rows())


def test_a_member_sees_managed_data_from_sign_in_to_sign_out(site: Site) -> None:
    person = site.visitor(group=LAB)
    before = person.get(PROJECTS)
    assert found(person) == 2

    assert person.sign_in(PROJECTS) == PROJECTS

    page = person.get(PROJECTS)
    assert found(person) == 3
    assert len(page.rows()) == len(before.rows()) + 1
    assert person.email in page.html
    assert person.email not in before.html
    person.send("/browse/sign-out", page)
    assert found(person) == 2
    assert person.get(PROJECTS).html == before.html


def test_the_page_of_who_has_signed_in_says_what_is_proved(site: Site) -> None:
    person = site.member(group=LAB)

    page = person.get("/browse/me")

    assert person.email in page.title or person.email in page.text
    assert LAB in page.text
    assert "Subscribe, make collections, and write new files and bundles no" in page.text
    assert site.service.env["OIDC_ISSUER"] in page.text
    site.visitor().get("/browse/me", 401)


def test_no_answer_is_kept_for_others(site: Site) -> None:
    for person in (site.visitor(), site.member(group=LAB)):
        for path in (PROJECTS, "/browse/me", "/browse/none/such"):
            headers = person.client.get(path).headers
            assert headers["Cache-Control"] == "no-store"
            assert {"cookie", "authorization"} <= {
                each.strip().lower() for each in headers["Vary"].split(",")
            }


def test_cookies_are_for_this_server_alone(site: Site) -> None:
    person = site.visitor()
    answer = person.client.get("/browse/sign-in")
    [attempt] = answer.headers.getlist("Set-Cookie")
    back = person.client.get(person.consent(answer.headers["Location"]))
    cookies = back.headers.getlist("Set-Cookie")

    assert len(cookies) == 2
    for each in (attempt, *cookies):
        assert "; HttpOnly" in each
        assert "; SameSite=Lax" in each
        assert "; Path=/" in each
        assert "Domain" not in each
    # By http here; by https, see test_browsers_keep_sessions_for_https_alone.
    assert "Secure" not in attempt


def test_no_route_but_the_pages_knows_a_session(site: Site) -> None:
    person = site.member()

    assert person.client.get("/v1/collections").status_code == 401
    assert person.client.get("/browse/me").status_code == 200


@pytest.mark.parametrize(
    "elsewhere",
    [
        *(
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "javascript:alert(1)",
        ),
        *("/browse\\@evil.example", "/browse@evil.example", "/browsers", "/browse/\n//evil", "/v1/files", ""),
        *("https:/browse", " /browse", "/browse/ x", f"/browse/{'x' * 2000}", "/browse/é"),
    ],
)
def test_sign_in_leads_to_pages_of_this_server_alone(site: Site, elsewhere: str) -> None:
    assert page_here(elsewhere) == "/browse"
    assert site.visitor().sign_in(elsewhere) == "/browse"


def test_an_answer_counts_for_the_attempt_of_this_browser_alone(site: Site) -> None:
    person, other = site.visitor(), site.visitor()
    back, others = person.consent(person.provider_page()), other.consent(other.provider_page())

    assert "state" in person.get(others, 400).text
    assert "state" in person.get(back.replace("state=", "state=x"), 400).text
    assert "ended" in site.visitor().get(back, 400).text
    assert person.client.get(back).status_code == 303
    # Once only, also if the browser comes back.
    assert "ended" in person.get(back, 400).text


def test_who_answers_for_another_issuer_is_refused(site: Site) -> None:
    person = site.visitor()
    back = person.consent(person.provider_page())
    issuer = urlencode({"iss": site.service.env["OIDC_ISSUER"]})

    assert "iss" in person.get(back.replace(issuer, "iss=https%3A%2F%2Fevil.example"), 400).text
    assert "iss" in person.get(back.replace(issuer, ""), 400).text


def test_a_code_is_nothing_without_the_verifier_and_the_nonce_of_its_attempt(site: Site) -> None:
    settings = site.service.dss.settings
    person = site.visitor()
    for name in ("verifier", "nonce"):
        address = person.provider_page()
        cookie = person.client.get_cookie(ATTEMPT)
        assert cookie
        plain = secret_keys(settings.secrets_key_file).decrypt(cookie.value)
        import zlib

        attempt = json.loads(zlib.decompress(plain.removeprefix(f"{ATTEMPT}\0".encode())))
        other = seal(settings, ATTEMPT, {**attempt, name: "x" * 43})
        person.client.set_cookie(ATTEMPT, other)

        page = person.get(person.consent(address), 401)

        assert "invalid_grant" in page.text if name == "verifier" else "nonce" in page.text
        assert not person.client.get_cookie(SESSION)


def test_who_refuses_is_told_so(site: Site) -> None:
    person = site.visitor()

    page = person.get(person.consent(person.provider_page(), decision="deny"), 403)

    assert "access_denied" in page.text


def session_of(site: Site, person: Person) -> Session:
    settings = site.service.dss.settings
    cookie = person.client.get_cookie(SESSION)
    assert cookie
    import zlib

    plain = secret_keys(settings.secrets_key_file).decrypt(cookie.value)
    return Session(**json.loads(zlib.decompress(plain.removeprefix(f"{SESSION}\0".encode()))))


def test_only_this_system_makes_sessions(site: Site) -> None:
    settings = site.service.dss.settings
    person = site.member(group=LAB)
    good = session_of(site, person)
    assert found(person) == 3
    cookie = person.client.get_cookie(SESSION)
    assert cookie
    value = cookie.value
    stranger_key = Fernet(Fernet.generate_key())
    forged = {
        "changed": value[:-8] + ("A" if value[-8] != "A" else "B") + value[-7:],
        "of another key": stranger_key.encrypt(b"x").decode(),
        "of another purpose": seal(settings, ATTEMPT, asdict(good)),
        "ended": seal(settings, SESSION, asdict(replace(good, ends=int(time.time()) - 1))),
        "old": secret_keys(settings.secrets_key_file)
        .encrypt_at_time(secret_keys(settings.secrets_key_file).decrypt(value), int(time.time()) - 13 * 3600)
        .decode(),
        "of another token": seal(settings, SESSION, asdict(replace(good, token="no.valid.token"))),
        "empty": "",
        "no cookie of ours": "%00\"';--",
    }
    for name, text in forged.items():
        person.client.set_cookie(SESSION, text)
        assert found(person) == 2, name
        person.get("/browse/me", 401)
    person.client.set_cookie(SESSION, value)
    assert found(person) == 3


def test_a_session_ends_with_its_token(site: Site) -> None:
    person = site.visitor(group=LAB)
    person.sign_in(seconds="60")

    assert 0 < session_of(site, person).ends - time.time() <= 60


def test_every_instance_knows_every_session(site: Site) -> None:
    from run.api.app import create_app

    person = site.member(group=LAB)
    cookie = person.client.get_cookie(SESSION)
    assert cookie
    other = Person(create_app(site.service.dss).test_client())
    other.client.set_cookie(SESSION, cookie.value)

    assert person.email in other.get("/browse/me").html


@pytest.mark.parametrize("sent", [{}, {"dss-form": ""}, {"dss-form": "x" * 32}, {"dss-form": "é"}])
def test_forms_of_other_sites_are_refused(site: Site, sent: dict[str, str]) -> None:
    person = site.member()
    answer = person.client.post("/browse/sign-out", data=sent)

    assert answer.status_code == 403
    assert person.email in person.get("/browse").html


def test_a_form_counts_in_its_own_session_and_from_its_own_site_alone(site: Site) -> None:
    person, other = site.member(), site.member()
    key = session_of(site, person).form_key

    assert other.client.post("/browse/sign-out", data={"dss-form": key}).status_code == 403
    cross = person.client.post(
        "/browse/sign-out", data={"dss-form": key}, headers={"Sec-Fetch-Site": "same-site"}
    )
    assert cross.status_code == 403
    as_json = person.client.post("/browse/sign-out", json={"dss-form": key})
    assert as_json.status_code == 415
    assert person.client.post("/browse/sign-out", data={"dss-form": key, "x": "1"}).status_code == 400
    assert person.client.post("/browse/sign-out", data={"dss-form": key}).status_code == 303


def test_a_token_in_the_header_counts_before_a_session(site: Site) -> None:
    person = site.member(group=LAB)

    page = person.get(PROJECTS, Authorization="Bearer no.valid.token")

    assert person.email not in page.html
    assert "account-secret" not in page.html


def test_the_provider_gets_what_makes_the_code_ours(site: Site) -> None:
    query = query_of(site.visitor().provider_page())

    assert query["response_type"] == "code"
    assert query["code_challenge_method"] == "S256"
    assert len(query["code_challenge"]) == 43
    assert min(len(query["state"]), len(query["nonce"])) >= 43
    assert query["redirect_uri"] == "http://localhost/browse/signed-in"
    assert requests.get(site.service.env["OIDC_ISSUER"] + "/.well-known/openid-configuration", timeout=20).ok
