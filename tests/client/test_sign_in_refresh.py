"""Tokens are refreshed by themselves: once, by whichever thread or process comes first."""

import json
import multiprocessing
import pickle
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

import dss
from dss.errors import Busy, InvalidInput, SignInFailed, Unreachable
from dss.profiles import load_settings
from dss.sign_in.credentials import token_source
from dss.sign_in.login import Login, revoke
from dss.sign_in.sources import FixedToken, Issued, RefreshedToken
from dss.sign_in.store import LoginStore, StoredLogin
from local.issuer.claims import AUDIENCE
from local.issuer.grants import Person, SignIn
from tests.support.sign_in import RunningIssuer, running_issuer


@pytest.fixture(scope="module")
def running() -> Iterator[RunningIssuer]:
    with running_issuer() as running:
        yield running


@pytest.fixture
def issuer(running: RunningIssuer, monkeypatch: pytest.MonkeyPatch) -> RunningIssuer:
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    running.forget()
    return running


def stored(issuer: RunningIssuer, *, left: float = -1.0, seconds: int = 3600) -> StoredLogin:
    """Store a login of which the token expires in `left` seconds; those after it live for `seconds`."""
    person = Person(email="ada@example.org", group="dss", seconds=seconds)
    sign_in = SignIn(person=person, client_id=AUDIENCE, nonce=None, rotates=True)
    login = StoredLogin(
        url=issuer.dss,
        issuer=issuer.url,
        client_id=AUDIENCE,
        client_secret=None,
        token_endpoint=f"{issuer.url}/token",
        revocation_endpoint=f"{issuer.url}/revoke",
        token_type="id_token",
        token="old",
        refresh_token=issuer.grants.new_refresh_token(sign_in),
        refresh_at=time.time() + left - 60,
        expires_at=time.time() + left,
        claims={"email": "ada@example.org"},
    )
    store = LoginStore()
    with store.lock():
        store.save(login, in_keyring=False)
    return login


def in_use(issuer: RunningIssuer) -> str | None:
    return token_source(load_settings(url=issuer.dss)).token()


def test_a_token_that_has_expired_is_refreshed_and_the_next_process_reads_it(issuer: RunningIssuer) -> None:
    before = stored(issuer)

    first, second = in_use(issuer), in_use(issuer)

    after = LoginStore().load(issuer.dss)
    assert after
    assert first == second == after.token != "old"
    assert after.refresh_token != before.refresh_token
    assert issuer.count("/token") == 1


def test_a_token_that_is_good_is_used_without_a_request(issuer: RunningIssuer) -> None:
    stored(issuer, left=3600)

    assert in_use(issuer) == "old"
    assert issuer.seen == []


def test_many_threads_cause_one_refresh(issuer: RunningIssuer) -> None:
    stored(issuer)
    client = dss.Client(issuer.dss)

    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda _: client.answer_json(client.call("GET", "x"))["token"], range(64)))

    assert len(set(found)) == 1
    assert issuer.count("/token") == 1


def _token_of_process(url: str, barrier: "multiprocessing.synchronize.Barrier") -> str | None:
    source = token_source(load_settings(url=url))
    barrier.wait(120)
    return source.token()


def test_many_processes_cause_one_refresh(issuer: RunningIssuer) -> None:
    """The issuer ends the login if an old refresh token comes a second time."""
    stored(issuer)
    context = multiprocessing.get_context("fork")
    with context.Manager() as manager:
        barrier = manager.Barrier(4)
        with context.Pool(4) as pool:
            calls = [pool.apply_async(_token_of_process, (issuer.dss, barrier)) for _ in range(4)]
            found = [call.get(240) for call in calls]

    assert len(set(found)) == 1
    assert found[0] != "old"
    assert issuer.count("/token") == 1


def test_in_the_middle_of_some_work_a_call_has_a_new_token(issuer: RunningIssuer) -> None:
    stored(issuer, seconds=2)
    client = dss.Client(issuer.dss)
    ends = time.monotonic() + 240
    found = set()
    while len(found) < 3 and time.monotonic() < ends:
        answer = client.answer_json(client.call("GET", "x"))
        found.add(answer["token"])
        time.sleep(0.05)

    assert len(found) == 3


def test_a_token_that_the_dss_refuses_is_replaced_once(issuer: RunningIssuer) -> None:
    """As if this machine had slept, or the clock of the DSS were ahead."""
    stored(issuer, left=3600)
    client = dss.Client(issuer.dss)
    issuer.answers = [401]

    answer = client.answer_json(client.call("GET", "x"))

    assert issuer.tokens == ["old", answer["token"]]
    issuer.answers = [401, 401, 401]
    with pytest.raises(dss.errors.CallFailed, match="401"):
        client.answer_json(client.call("GET", "x"))
    assert len(issuer.tokens) == 4


@pytest.mark.parametrize(
    ("left", "why"), [(3600, "gives no other token for your login at"), (2.0, "has expired, and")]
)
def test_why_the_dss_refuses_a_token_is_told_and_expired_is_only_what_is(
    issuer: RunningIssuer, left: float, why: str
) -> None:
    login = stored(issuer, left=left)
    LoginStore().save(replace(login, refresh_token=None, refresh_at=login.expires_at), in_keyring=False)
    client = dss.Client(issuer.dss)
    # It is sent while it is valid; the one that expires does so on the way.
    issuer.answers, issuer.answer_after = [401], login.expires_at if left < 3600 else 0.0

    with pytest.raises(dss.errors.NotSignedIn, match="the DSS has another audience; ") as failure:
        client.answer_json(client.call("GET", "x"))

    assert why in failure.value.title
    assert ("expired" in failure.value.title) == (left < 3600)


@pytest.mark.parametrize(
    ("token_type", "has_refresh_token", "sent"),
    [
        ("id_token", True, True),
        ("access_token", True, True),
        ("access_token", False, True),
        ("id_token", False, False),
    ],
)
def test_an_id_token_is_not_said_to_be_revoked(
    issuer: RunningIssuer, token_type: str, has_refresh_token: bool, sent: bool
) -> None:
    login = replace(stored(issuer), token_type=token_type)

    assert revoke(login if has_refresh_token else replace(login, refresh_token=None)) == sent
    assert issuer.count("/revoke") == sent


def test_a_login_that_was_revoked_says_what_to_do(issuer: RunningIssuer) -> None:
    revoke(stored(issuer))

    with pytest.raises(
        SignInFailed, match=rf"has ended \(.*invalid_grant.*; run `dss login --url {issuer.dss}`"
    ):
        in_use(issuer)


def test_a_login_that_another_process_has_removed_says_what_to_do(issuer: RunningIssuer) -> None:
    stored(issuer)
    source = token_source(load_settings(url=issuer.dss))
    LoginStore().delete(issuer.dss)

    with pytest.raises(SignInFailed, match=r"logged out of .*; run `dss login`"):
        source.token()


def test_a_login_without_refresh_tokens_says_what_to_do_when_it_has_expired(issuer: RunningIssuer) -> None:
    login = replace(stored(issuer), refresh_token=None)
    LoginStore().save(login, in_keyring=False)

    with pytest.raises(SignInFailed, match="does not refresh it; run `dss login"):
        in_use(issuer)


def test_while_the_issuer_does_not_answer_a_token_is_used_until_it_expires(issuer: RunningIssuer) -> None:
    stored(issuer, left=30)
    issuer.failing = {"/token"}
    assert in_use(issuer) == "old"

    stored(issuer, left=-1)
    with pytest.raises(Unreachable, match="503"):
        in_use(issuer)


def test_work_that_has_begun_waits_for_the_issuer(issuer: RunningIssuer) -> None:
    stored(issuer, seconds=2)
    notes: list[str] = []

    def back(line: str) -> None:
        notes.append(line)
        issuer.failing = set()

    client = dss.Client(issuer.dss, notify=back)
    client.answer_json(client.call("GET", "x"))
    issuer.failing = {"/token"}
    ends = time.monotonic() + 240
    while not notes and time.monotonic() < ends:
        client.answer_json(client.call("GET", "x"))
        time.sleep(0.05)

    assert "503" in notes[0]
    assert len(set(issuer.tokens)) == 2


class Counting(RefreshedToken):
    """A token that is issued again and again."""

    def __init__(self, seconds: float) -> None:
        super().__init__("a test")
        self.issued = 0
        self.failure: Exception | None = None
        self._seconds = seconds

    def age(self, *, left: float) -> None:
        """Let the token be due, and expire in `left` seconds."""
        now = time.time()
        self._current = Issued(token="old", expires_at=now + left, refresh_at=now - 1)

    def _issue(self, current: Issued | None) -> Issued:
        self.issued += 1
        if self.failure:
            raise self.failure
        return Issued.now(f"token {self.issued}", self._seconds)


def test_a_source_of_tokens_can_go_to_another_process() -> None:
    source = Counting(3600)
    source.token()

    copy = pickle.loads(pickle.dumps(source))

    assert copy.token() == "token 1"
    assert copy.replacement("token 1") == "token 2"


@pytest.mark.parametrize("failure", [Unreachable("silent"), Busy("another"), InvalidInput("locked")])
def test_what_keeps_a_token_from_being_renewed_fails_no_call_while_it_is_valid(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Counting(3600)
    source.failure = failure
    source.age(left=1000)

    # It is tried once, and again after some seconds.
    assert [source.token() for _ in range(3)] == ["old"] * 3
    assert source.issued == 1
    later = time.time() + 30
    monkeypatch.setattr(time, "time", lambda: later)
    assert (source.token(), source.issued) == ("old", 2)

    source.age(left=-1)
    for _ in range(2):
        with pytest.raises(type(failure)):
            source.token()
    source.failure = None
    assert source.token() == "token 5"


class Silent(Counting):
    """An issuer that does not answer before it is let go."""

    def __init__(self) -> None:
        super().__init__(3600)
        self.asked, self.let_go = threading.Event(), threading.Event()

    def _issue(self, current: Issued | None) -> Issued:
        self.asked.set()
        assert self.let_go.wait(60)
        return super()._issue(current)


def test_while_one_thread_waits_for_the_issuer_others_use_the_token_that_is_valid() -> None:
    source = Silent()
    source.age(left=1000)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(source.token)
        assert source.asked.wait(60)
        try:
            assert threads.submit(source.token).result(20) == "old"
        finally:
            source.let_go.set()
        assert first.result(60) == "token 1"


def test_a_token_is_replaced_for_all_threads_at_once() -> None:
    source = Counting(3600)
    source.token()
    threads = [threading.Thread(target=source.replacement, args=("token 1",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert source.issued == 2
    assert FixedToken("x", "a test").replacement("x") is None


def test_a_login_is_in_a_file_for_its_owner_only(issuer: RunningIssuer, tmp_path: Path) -> None:
    (tmp_path / "config" / "dss").mkdir(parents=True, mode=0o755)
    stored(issuer)

    path = tmp_path / "config" / "dss" / "credentials.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [one.name for one in path.parent.iterdir() if one.name.startswith(".")] == []


def test_a_file_that_others_may_read_is_not_used(issuer: RunningIssuer) -> None:
    stored(issuer)
    LoginStore().path.chmod(0o644)

    with pytest.raises(InvalidInput, match=r"others may read it \(mode 0644\): run `chmod 600"):
        in_use(issuer)


@pytest.mark.parametrize("content", ["", "[]", '{"logins": 3}', '{"logins": {"URL": {"x": 1}}}', "\x00"])
def test_a_damaged_file_is_named(issuer: RunningIssuer, content: str) -> None:
    stored(issuer)
    path = LoginStore().path
    path.write_text(content.replace("URL", issuer.dss))

    with pytest.raises(InvalidInput, match=r"credentials.json.*dss login"):
        in_use(issuer)


def test_a_token_of_one_dss_is_not_sent_to_another(issuer: RunningIssuer) -> None:
    stored(issuer, left=3600)

    assert token_source(load_settings(url=f"{issuer.url}/other")).token() is None
    assert token_source(load_settings(url=f"{issuer.dss}/v1/")).token() == "old"


def test_secrets_of_a_login_are_in_no_message(issuer: RunningIssuer) -> None:
    login = replace(stored(issuer), client_secret="s3cret")

    assert "s3cret" not in repr(login)
    assert str(login.refresh_token) not in repr(login)
    assert json.loads(LoginStore().path.read_text())["logins"][issuer.dss]["token"] == "old"
    assert isinstance(Login(login, LoginStore()), Login)
