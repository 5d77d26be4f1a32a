"""Sign-in at the pages: who may see managed data does, and nobody else comes in, or is led elsewhere."""

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from cryptography.fernet import Fernet
from werkzeug.test import TestResponse

from run.account import providers
from run.account.sign_in import page_here
from run.api.app import create_app
from run.browse.sessions import FORM_KEY, SESSION, Session, seal, unseal
from shared.secret_keys import secret_keys
from tests.run.account.conftest import CATALOGUE, LAB, Person, Site, query_of
from tests.support.subscriber import subscriber

PROJECTS = f"/browse/projects?catalog={CATALOGUE}"
ATTEMPT = "dss-sign-in"


def found(person: Person) -> int:
    """Return how many bundles somebody finds."""
    return len(person.get(f"/browse/bundles?catalog={CATALOGUE}").rows())


def kept(site: Site, person: Person, name: str) -> Mapping[str, Any]:
    """Return what a cookie holds that only this system can read."""
    cookie = person.client.get_cookie(name)
    content = unseal(site.service.dss.settings, name, cookie.value, seconds=60) if cookie else None
    assert content
    return content


def session_of(site: Site, person: Person) -> Session:
    return Session(**kept(site, person, SESSION))


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

    assert person.email in page.text
    assert LAB in page.text
    assert "Subscribe, make collections, and write new files and bundlesno" in page.text
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


def test_browsers_keep_sessions_for_https_alone(site: Site) -> None:
    person = site.visitor()
    back = person.consent(person.provider_page())
    attempt = person.client.get_cookie(ATTEMPT)
    assert attempt
    dss = site.service.dss
    by_https = replace(dss, settings=replace(dss.settings, public_url="https://dss.example.org"))
    client = create_app(by_https).test_client()

    def set_by(answer: TestResponse) -> dict[str, str]:
        """Return the attributes of the cookies that an answer sets, by their names."""
        cookies = [each.partition("; ") for each in answer.headers.getlist("Set-Cookie")]
        return {pair.partition("=")[0]: attributes for pair, _, attributes in cookies}

    def signed_in(name: str, value: str) -> bool:
        other = Person(create_app(by_https).test_client())
        other.client.set_cookie(name, value)
        return person.email in other.get("/browse/store").html

    # The attempt is of a browser that came by http, since the issuer of tests leads nowhere else.
    client.set_cookie(f"__Host-{ATTEMPT}", attempt.value)
    cookies = set_by(client.get("/browse/sign-in")) | set_by(client.get("/browse/manifests"))
    client.set_cookie(f"__Host-{ATTEMPT}", attempt.value)
    begun = client.get(back)
    cookies |= {name: each for name, each in set_by(begun).items() if name != f"__Host-{ATTEMPT}"}

    assert begun.status_code == 303
    assert cookies.keys() == {f"__Host-{name}" for name in (ATTEMPT, SESSION, FORM_KEY)}
    for name, attributes in cookies.items():
        given = set(attributes.split("; "))
        assert {"Secure", "HttpOnly", "Path=/"} < given, name
        assert f"SameSite={'Strict' if FORM_KEY in name else 'Lax'}" in given, name
        assert "Domain" not in attributes, name
    session = client.get_cookie(f"__Host-{SESSION}")
    assert session
    assert signed_in(f"__Host-{SESSION}", session.value)
    # What came by http, or from a neighbouring host, may be anybody's.
    assert not signed_in(SESSION, session.value)


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
        other = {**kept(site, person, ATTEMPT), name: "x" * 43}
        person.client.set_cookie(ATTEMPT, seal(settings, ATTEMPT, other))

        page = person.get(person.consent(address), 401)

        assert "invalid_grant" in page.text if name == "verifier" else "nonce" in page.text
        assert not person.client.get_cookie(SESSION)


def test_a_code_is_sent_to_the_provider_and_to_nobody_it_names(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = site.visitor()
    back = person.consent(person.provider_page())

    with subscriber() as server:
        elsewhere = providers._Endpoints(
            authorization="", token=server.url("/redirect/token"), names_itself=False
        )
        monkeypatch.setattr(providers._Provider, "_endpoints", lambda _: elsewhere)
        person.get(back, 503)

    assert [call.path for call in server.calls] == ["/redirect/token"]


def test_who_refuses_is_told_so(site: Site) -> None:
    person = site.visitor()

    page = person.get(person.consent(person.provider_page(), decision="deny"), 403)

    assert "access_denied" in page.text


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
    person = site.member(group=LAB)
    cookie = person.client.get_cookie(SESSION)
    assert cookie
    other = Person(create_app(site.service.dss).test_client())
    other.client.set_cookie(SESSION, cookie.value)

    assert person.email in other.get("/browse/me").html


@pytest.mark.parametrize("sent", [{"x": "1"}, {"dss-form": ""}, {"dss-form": "x" * 32}, {"dss-form": "é"}])
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
