"""Sign-in in a browser, with a code on another device, and by pasting, at the local issuer."""

import socket
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from dss import tokens
from dss.errors import InvalidInput, SignInFailed, Unreachable
from dss.profiles import load_settings
from dss.sign_in import device, provider
from dss.sign_in.flows import SignIn
from dss.sign_in.login import new_login
from dss.sign_in.provider import Provider
from dss.sign_in.registration import Registration, registration_of
from dss.sign_in.store import StoredLogin
from local.issuer.grants import Grants
from tests.support.sign_in import RunningIssuer, address_in, open_url, running_issuer


@pytest.fixture(scope="module")
def issuer() -> Iterator[RunningIssuer]:
    with running_issuer() as running:
        yield running


@dataclass
class Person:
    """Reads what the terminal says, and does something when it asks."""

    answer: Callable[[str], str] = lambda _: ""
    on_line: Callable[[str], Any] = lambda _: None
    lines: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        self.lines.append(line)
        self.on_line(line)

    def ask(self, question: str) -> str:
        del question
        return self.answer("\n".join(self.lines))


def sign_in(issuer: RunningIssuer, person: Person, **options: Any) -> SignIn:
    return SignIn(
        url=issuer.dss,
        provider=Provider.discover(issuer.url),
        registration=registration_of(load_settings(url=issuer.dss)),
        person=person,
        **options,
    )


def in_browser(
    issuer: RunningIssuer,
    monkeypatch: pytest.MonkeyPatch,
    visit: Callable[[str], Any],
    **options: Any,
) -> StoredLogin:
    """Sign in with a browser that does `visit` with the address that it is to open."""
    threads: list[threading.Thread] = []

    def opened(url: str) -> bool:
        threads.append(threading.Thread(target=visit, args=(url,)))
        threads[-1].start()
        return True

    monkeypatch.setenv("BROWSER", "x")
    monkeypatch.setattr(webbrowser, "open", opened)
    try:
        return sign_in(issuer, Person(), **options).by_browser()
    finally:
        for thread in threads:
            thread.join(60)


def test_who_signs_in_in_the_browser_has_a_login(
    issuer: RunningIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = []
    made = in_browser(issuer, monkeypatch, lambda url: pages.append(issuer.decide(url, seconds="900")))

    claims = tokens.claims_of(made.token)
    assert (claims["email"], claims["group"], claims["iss"]) == ("ada@example.org", "dss", issuer.url)
    assert made.expires_at - time.time() == pytest.approx(900, abs=60)
    assert made.refresh_token
    assert made.url == issuer.dss
    assert (pages[0].status_code, "Back to the terminal" in pages[0].text) == (200, True)


def test_the_browser_is_asked_for_s256_a_state_and_a_nonce(
    issuer: RunningIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, list[str]]] = []

    def visit(url: str) -> None:
        asked.append(parse_qs(urlsplit(url).query))
        issuer.decide(url)

    for _ in range(2):
        in_browser(issuer, monkeypatch, visit)

    first, second = asked
    assert first["code_challenge_method"] == ["S256"]
    assert "offline_access" in first["scope"][0].split()
    assert urlsplit(first["redirect_uri"][0]).hostname == "127.0.0.1"
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name][0]) >= 43
        assert first[name] != second[name]


def test_a_redirect_with_another_state_is_refused_and_does_not_end_the_sign_in(
    issuer: RunningIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses = []

    def visit(url: str) -> None:
        target = parse_qs(urlsplit(url).query)["redirect_uri"][0]
        statuses.append(open_url(target, code="stolen", state="another"))
        statuses.append(open_url(target, code="stolen"))
        statuses.append(open_url(f"{target}favicon.ico"))
        issuer.decide(url)

    made = in_browser(issuer, monkeypatch, visit)

    assert statuses == [400, 400, 404]
    assert made.claims["email"] == "ada@example.org"


def test_who_refuses_is_told_that_nothing_was_stored(
    issuer: RunningIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SignInFailed, match=r"refused in the browser \(access_denied\); nothing was stored"):
        in_browser(issuer, monkeypatch, lambda url: issuer.decide(url, decision="deny"))


def test_a_browser_that_does_not_return_is_waited_for_no_longer_than_asked(
    issuer: RunningIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SignInFailed, match="nobody signed in within 0 s"):
        in_browser(issuer, monkeypatch, lambda _: None, seconds=0.2)


def by_paste(issuer: RunningIssuer, answer: Callable[[str], str], **options: Any) -> StoredLogin:
    """Sign in at an issuer without codes for devices; `answer` returns what is pasted, of what is shown."""
    one = sign_in(issuer, Person(answer=answer), **options)
    plain = replace(one.provider, device_authorization_endpoint=None)
    return replace(one, provider=plain).without_browser()


def test_without_a_browser_the_address_that_it_ended_at_is_pasted(issuer: RunningIssuer) -> None:
    def paste(text: str) -> str:
        return f"  {issuer.submit(address_in(text)).headers['Location']}\n"

    assert by_paste(issuer, paste).claims["email"] == "ada@example.org"


@pytest.mark.parametrize("quoted", [False, True])
def test_the_code_alone_will_do_too(issuer: RunningIssuer, quoted: bool) -> None:
    def paste(text: str) -> str:
        location = issuer.submit(address_in(text)).headers["Location"]
        code = parse_qs(urlsplit(location).query)["code"][0]
        return "".join(f"%{ord(letter):02X}" for letter in code) if quoted else code

    assert by_paste(issuer, paste).claims["email"] == "ada@example.org"


@pytest.mark.parametrize(
    ("pasted", "why"),
    [
        ("http://127.0.0.1:8400/?code=x&state=other", "its state differs"),
        ("http://127.0.0.1:8400/", "its state differs"),
        ("", "there is no code"),
        ("nonsense", "invalid_grant: the code is unknown"),
    ],
)
def test_what_is_no_answer_to_this_sign_in_is_refused(issuer: RunningIssuer, pasted: str, why: str) -> None:
    with pytest.raises(SignInFailed, match=why):
        by_paste(issuer, lambda _: pasted)


def test_a_code_that_has_expired_is_refused() -> None:
    with (
        running_issuer(grants=Grants(code_seconds=-1)) as issuer,
        pytest.raises(SignInFailed, match="the code has expired"),
    ):
        by_paste(issuer, lambda text: issuer.submit(address_in(text)).headers["Location"])


def test_a_code_entered_on_another_device_signs_in(issuer: RunningIssuer) -> None:
    pages = []

    def enter(line: str) -> None:
        if "user_code=" in line:
            pages.append(issuer.decide(address_in(line), user_code=line.rpartition("user_code=")[2]))

    person = Person(on_line=enter)
    made = sign_in(issuer, person).without_browser()

    assert made.claims["email"] == "ada@example.org"
    assert "enter the code" in person.lines[0]
    assert "The other device goes on" in pages[0].text


def test_a_code_that_is_refused_on_the_other_device_ends_the_sign_in(issuer: RunningIssuer) -> None:
    def refuse(line: str) -> None:
        if "user_code=" in line:
            issuer.decide(address_in(line), user_code=line.rpartition("user_code=")[2], decision="deny")

    with pytest.raises(SignInFailed, match="access_denied"):
        sign_in(issuer, Person(on_line=refuse)).without_browser()


def test_a_code_that_nobody_enters_is_waited_for_no_longer_than_asked(issuer: RunningIssuer) -> None:
    with pytest.raises(SignInFailed, match="the code has expired"):
        sign_in(issuer, Person(), seconds=0.5).without_browser()


def test_an_issuer_that_fails_for_a_while_does_not_void_the_code(issuer: RunningIssuer) -> None:
    one = sign_in(issuer, Person())
    code = device.request_code(one.provider, one.registration)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        issuer.failing = {"/token"} if len(slept) < 9 else set()
        if len(slept) == 9:
            issuer.decide(str(code.complete_address), user_code=code.user_code)

    answer = device.wait_for_consent(one.provider, one.registration, code, sleep)

    assert answer["id_token"]
    first = code.interval
    assert slept == [min(first * 2**attempt, 60) for attempt in range(9)]
    assert slept[-1] == 60


def test_where_a_client_gets_no_codes_an_address_is_pasted(issuer: RunningIssuer) -> None:
    person = Person(answer=lambda text: issuer.submit(address_in(text)).headers["Location"])
    one = sign_in(issuer, person)
    # The issuer knows this client for browsers only, as Google does those of its kind for desktops.
    broken = replace(one.provider, device_authorization_endpoint=f"{issuer.url}/revoke")

    made = replace(one, provider=broken).without_browser()

    assert made.claims["email"] == "ada@example.org"
    assert person.lines[0].startswith("No code for other devices: ")


def test_a_port_that_is_taken_is_named(issuer: RunningIssuer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInput, match=rf"port {port} .* --port"):
            sign_in(issuer, Person()).with_port(port).by_browser()


ANSWER = {"iss": "https://i", "aud": "c", "nonce": "n", "email": "a@example.org", "iat": 1, "exp": 61}


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"nonce": "other"}, "its nonce differs"),
        ({"nonce": None}, "its nonce differs"),
        ({"iss": "https://other"}, "another issuer"),
        ({"aud": "other"}, "another client"),
        ({"aud": ["x", "y"]}, "another client"),
    ],
)
def test_an_id_token_of_another_sign_in_is_refused(claims: dict[str, Any], why: str) -> None:
    with pytest.raises(SignInFailed, match=why):
        login_of({**ANSWER, **claims})


def login_of(claims: dict[str, Any]) -> StoredLogin:
    import jwt

    provider = Provider(
        issuer="https://i",
        authorization_endpoint=None,
        token_endpoint="https://i/token",
        device_authorization_endpoint=None,
        revocation_endpoint=None,
        scopes=(),
    )
    registration = Registration(issuer="https://i", client_id="c")
    answer = {"id_token": jwt.encode(claims, "k" * 32, algorithm="HS256"), "expires_in": 5}
    return new_login("https://dss", provider, registration, answer, nonce="n")


def test_a_token_that_can_not_be_refreshed_is_used_to_its_end() -> None:
    made = login_of({**ANSWER, "iat": 1, "exp": 601})

    assert made.refresh_at == made.expires_at


@pytest.mark.parametrize("skew", [-86400, 86400])
def test_the_life_of_a_token_does_not_depend_on_the_issuers_clock(skew: int) -> None:
    now = int(time.time()) + skew

    made = login_of({**ANSWER, "iat": now, "exp": now + 600})

    assert made.expires_at - time.time() == pytest.approx(600, abs=60)


@pytest.mark.parametrize("answers", [False, True])
def test_an_issuer_that_does_not_answer_is_given_up_within_five_seconds(
    answers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert max(provider._LOOK_UP) < 5
    monkeypatch.setattr(provider, "_LOOK_UP", (1.0, 1.0))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if answers:
            listener.listen()
        began = time.monotonic()
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1"):
            Provider.discover(f"http://127.0.0.1:{listener.getsockname()[1]}")
        # One on a machine that does nothing else.
        assert time.monotonic() - began < 10


def test_secrets_are_sent_by_tls_only() -> None:
    with pytest.raises(InvalidInput, match="must begin with https://"):
        Provider.discover("http://issuer.example.org")


def test_a_server_that_is_no_dss_is_named() -> None:
    with running_issuer() as issuer, pytest.raises(SignInFailed, match=r"404 NOT FOUND; is .* a DSS"):
        registration_of(load_settings(url=issuer.url))


def test_settings_count_more_than_what_the_dss_says(
    issuer: RunningIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DSS_ISSUER", "https://mine.example.org")
    monkeypatch.setenv("DSS_CLIENT_ID", "mine")
    issuer.seen.clear()

    mine = registration_of(load_settings(url=issuer.dss))

    assert (mine.issuer, mine.client_id, mine.client_secret) == ("https://mine.example.org", "mine", None)
    assert issuer.seen == []


def test_a_port_that_the_client_is_registered_with_is_used(issuer: RunningIssuer) -> None:
    client = {"client_id": "c", "redirect_uris": ["urn:x", "http://localhost", "http://localhost:8123/back"]}
    issuer_client, issuer.client = issuer.client, client

    registered = registration_of(load_settings(url=issuer.dss))
    issuer.client = issuer_client

    assert registered.redirect == ("localhost", 8123, "/back")
