"""Logins on this machine: in the system's keyring, or in a file that only its owner can read.

The file lists which DSS has a login; if that is in the keyring, the file has nothing else
of it. A process holds the lock while it changes either.
"""

import contextlib
import dataclasses
import json
import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dss import environment
from dss.atomic_files import replacing
from dss.errors import Busy, InvalidInput
from dss.sign_in import keyrings
from dss.transfer.parallel import only_process

_KEYRING = {"stored_in": "keyring"}
# Seconds to wait for another process, which may wait for the issuer.
_LOCK_SECONDS = 60.0
_MOST_BYTES = 10_000_000


@dataclass(frozen=True, kw_only=True)
class StoredLogin:
    """What is kept of a login; times in seconds since 1970 by this machine's clock.

    `token` is what is sent to the DSS, `claims` are those of the ID token.
    """

    url: str
    issuer: str
    client_id: str
    client_secret: str | None = field(repr=False)
    token_endpoint: str
    revocation_endpoint: str | None
    token_type: str
    token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    refresh_at: float
    expires_at: float
    claims: Mapping[str, Any]


class LoginStore:
    """The logins of this user, one for each URL of a DSS."""

    def __init__(self) -> None:
        self.path = environment.logins_file()
        self._directory = self.path.parent

    def load(self, url: str) -> StoredLogin | None:
        """Return the login at a DSS. Raises InvalidInput if file or keyring are not usable."""
        entry = self._read().get(url)
        if entry is None:
            return None
        if entry == _KEYRING:
            text = keyrings.read(url)
            if text is None:
                return None
            entry = _object(text, f"the keyring's entry for {url}")
        try:
            return StoredLogin(**entry)
        except TypeError as error:
            raise InvalidInput(f"{self.path}: the login at {url} is incomplete; run `dss login`") from error

    def place_of(self, url: str) -> str:
        """Return where the login at a DSS is, in words."""
        return "the keyring" if self._read().get(url) == _KEYRING else str(self.path)

    def save(self, login: StoredLogin, *, in_keyring: bool | None = None) -> str:
        """Store a login and return where: in the keyring, in the file, or (None) where one can, or it was.

        The caller holds the lock. Raises InvalidInput if it can be stored nowhere.
        """
        entries = self._read()
        known = entries.get(login.url)
        wanted = in_keyring if in_keyring is not None else known is None or known == _KEYRING
        record = dataclasses.asdict(login)
        stored = wanted and keyrings.write(login.url, json.dumps(record), must=bool(in_keyring))
        self._write({**entries, login.url: _KEYRING if stored else record})
        if known == _KEYRING and not stored:
            # What it still has is void: the file says where the login is.
            with contextlib.suppress(InvalidInput):
                keyrings.delete(login.url)
        return self.place_of(login.url)

    def delete(self, url: str) -> bool:
        """Remove the login at a DSS; return whether there was one. The caller holds the lock.

        Raises InvalidInput if it can't be removed from the keyring; it is still listed then.
        """
        entries = self._read()
        entry = entries.pop(url, None)
        if entry == _KEYRING:
            keyrings.delete(url)
        if entry is not None:
            self._write(entries)
        return entry is not None

    def urls(self) -> list[str]:
        """Return the URLs of all logins, in order."""
        return sorted(self._read())

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from changing logins. Raises Busy if one does so for a minute."""
        self._make_directory()
        ends = time.monotonic() + _LOCK_SECONDS
        with contextlib.ExitStack() as stack:
            while True:
                try:
                    with _explained(self._directory):
                        stack.enter_context(only_process(self._directory / "credentials.lock", "logins"))
                    break
                except Busy:
                    if time.monotonic() > ends:
                        raise
                    time.sleep(0.05)
            yield

    def _make_directory(self) -> None:
        with _explained(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            if stat.S_IMODE(self._directory.stat().st_mode) & 0o077:
                self._directory.chmod(0o700)

    def _read(self) -> dict[str, Any]:
        with _explained(self.path):
            try:
                with self.path.open("rb") as file:
                    mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                    content = file.read(_MOST_BYTES)
            except (FileNotFoundError, NotADirectoryError):
                return {}
        # Windows has no such modes.
        if mode & 0o077 and os.name == "posix":
            raise InvalidInput(
                f"{self.path} has tokens, and others may read it (mode {mode:04o}): run "
                f"`chmod 600 {self.path}`, then `dss logout` and `dss login` if somebody has read it"
            )
        logins = _object(content, str(self.path)).get("logins")
        if not isinstance(logins, dict):
            raise InvalidInput(f"{self.path} is not a file of logins; remove it and run `dss login`")
        return logins

    def _write(self, logins: Mapping[str, Any]) -> None:
        self._make_directory()
        with _explained(self.path), replacing(self.path, secret=True) as file:
            file.write(json.dumps({"logins": logins}, indent=1).encode())


def _object(text: str | bytes, what: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise InvalidInput(f"{what} is damaged; remove it and run `dss login`")
    return document


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}; logins are kept there") from error
