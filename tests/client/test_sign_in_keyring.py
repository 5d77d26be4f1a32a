"""Logins are in the system's keyring if that works, and in a file if it doesn't."""

import threading
import time
from collections.abc import Iterator

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked, PasswordDeleteError

from dss.errors import InvalidInput, MissingExtra
from dss.sign_in import keyrings
from dss.sign_in.store import LoginStore, StoredLogin

URL = "https://dss.example.org"


class Keyring(KeyringBackend):
    """A keyring in memory; `failure` is raised by every call, which first waits for `unlocked`."""

    priority = 5  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.secrets: dict[tuple[str, str], str] = {}
        self.failure: Exception | None = None
        self.forgets = False
        self.unlocked = threading.Event()
        self.unlocked.set()

    def _check(self) -> None:
        self.unlocked.wait(120)
        if self.failure:
            raise self.failure

    def get_password(self, service: str, username: str) -> str | None:
        self._check()
        return self.secrets.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._check()
        if not self.forgets:
            self.secrets[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._check()
        if (service, username) not in self.secrets:
            raise PasswordDeleteError("not found")
        del self.secrets[service, username]


@pytest.fixture
def ring() -> Iterator[Keyring]:
    before, ring = keyring.get_keyring(), Keyring()
    keyring.set_keyring(ring)
    yield ring
    ring.unlocked.set()
    keyring.set_keyring(before)


def login(token: str = "secret token") -> StoredLogin:
    return StoredLogin(
        url=URL,
        issuer="https://issuer.example.org",
        client_id="c",
        client_secret=None,
        token_endpoint="https://issuer.example.org/token",
        revocation_endpoint=None,
        token_type="id_token",
        token=token,
        refresh_token="secret refresh token",
        refresh_at=time.time() + 60,
        expires_at=time.time() + 120,
        claims={"email": "a@example.org"},
    )


def test_a_login_is_in_the_keyring_and_the_file_has_none_of_its_secrets(ring: Keyring) -> None:
    store = LoginStore()
    made = login()

    assert store.save(made) == "the keyring"

    assert store.load(URL) == made
    assert "secret" not in store.path.read_text()
    assert "secret refresh token" in ring.secrets["dss", URL]
    assert store.delete(URL)
    assert (store.load(URL), ring.secrets) == (None, {})


def test_a_login_that_was_put_into_a_file_stays_there(ring: Keyring) -> None:
    store = LoginStore()

    assert store.save(login(), in_keyring=False) == str(store.path)
    assert store.save(login("refreshed")) == str(store.path)
    assert ring.secrets == {}
    assert store.save(login(), in_keyring=True) == "the keyring"
    assert store.save(login(), in_keyring=False) == str(store.path)
    assert ring.secrets == {}


@pytest.mark.parametrize("how", ["fails", "forgets", "low"])
def test_where_the_keyring_does_not_store_a_login_is_in_the_file(ring: Keyring, how: str) -> None:
    store = LoginStore()
    ring.failure = KeyringLocked("locked") if how == "fails" else None
    ring.forgets = how == "forgets"
    if how == "low":
        # Plain text files, of another package.
        ring.priority = 0.5  # type: ignore[assignment]

    assert store.save(login()) == str(store.path)
    loaded = store.load(URL)
    assert loaded and loaded.token == "secret token"
    with pytest.raises(InvalidInput, match="--store file" if how != "low" else r"dss-client\[keyring\]"):
        store.save(login(), in_keyring=True)


def test_a_keyring_that_is_locked_later_says_what_to_do(ring: Keyring) -> None:
    store = LoginStore()
    store.save(login())
    ring.failure = KeyringLocked("user cancelled")

    with pytest.raises(
        InvalidInput, match=r"KeyringLocked: user cancelled.*unlock it, or run `dss login --store file`"
    ):
        store.load(URL)
    # So that nothing is lost, a token that is refreshed meanwhile goes to the file.
    assert store.save(login("refreshed")) == str(store.path)
    ring.failure = None
    loaded = store.load(URL)
    assert loaded and loaded.token == "refreshed"


def test_a_keyring_that_waits_for_a_person_is_not_waited_for_without_end(
    ring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyrings, "_SECONDS", 0.2)
    store = LoginStore()
    store.save(login())
    ring.unlocked.clear()

    with pytest.raises(InvalidInput, match="no answer for 0 s"):
        store.load(URL)


def test_a_login_in_a_keyring_that_is_not_there_names_the_extra(ring: Keyring) -> None:
    store = LoginStore()
    store.save(login())
    ring.priority = 0  # type: ignore[assignment]

    with pytest.raises(MissingExtra, match=r"dss-client\[keyring\]"):
        store.load(URL)
    with pytest.raises(MissingExtra, match=r"in the system's keyring: removing it needs .*\[keyring\]"):
        store.delete(URL)
    assert store.urls() == [URL]


def test_a_login_that_the_keyring_has_lost_is_no_login(ring: Keyring) -> None:
    store = LoginStore()
    store.save(login())
    ring.secrets.clear()

    assert store.load(URL) is None
    assert store.delete(URL)
