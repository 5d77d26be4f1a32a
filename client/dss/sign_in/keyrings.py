"""The system's keyring, if the package `keyring` is installed and has a back end that works.

A back end may wait for a person to unlock it: every call ends after some seconds.
"""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from dss.errors import InvalidInput, MissingExtra

T = TypeVar("T")
_SERVICE = "dss"
_SECONDS = 60.0


def write(name: str, secret: str, *, must: bool) -> bool:
    """Store a secret; return whether it can be read back. Raises InvalidInput if it `must` be, and can't."""
    backend = _backend()
    if backend is None:
        if must:
            raise MissingExtra(
                "storing a login in the system's keyring, with a back end that works,", "keyring"
            )
        return False
    try:
        _bounded(lambda: backend.set_password(_SERVICE, name, secret))
        stored = bool(_bounded(lambda: backend.get_password(_SERVICE, name)) == secret)
    except InvalidInput:
        stored = False
    if must and not stored:
        raise InvalidInput(f"the keyring ({_name(backend)}) does not store; unlock it, or give --store file")
    return stored


def read(name: str) -> str | None:
    """Return a secret, None if there is none. Raises InvalidInput if the keyring can't be read."""
    backend = _backend()
    if backend is None:
        raise MissingExtra("your login is in the system's keyring: reading it", "keyring")
    secret: str | None = _bounded(lambda: backend.get_password(_SERVICE, name))
    return secret


def delete(name: str) -> None:
    """Remove a secret, if there is one. Raises InvalidInput if the keyring can't be used."""
    backend = _backend()
    if backend is None:
        raise MissingExtra("your login is in the system's keyring: removing it", "keyring")
    if _bounded(lambda: backend.get_password(_SERVICE, name)) is not None:
        _bounded(lambda: backend.delete_password(_SERVICE, name))


def _backend() -> Any:
    """Return the back end that keeps secrets from others, or None."""
    try:
        import keyring

        backend = keyring.get_keyring()
        # 1 and more are recommended; plain text files have less, `fail` and `null` have 0 and -1.
        return backend if backend.priority >= 1 else None
    except Exception:  # noqa: BLE001 (back ends raise errors of the system's libraries)
        return None


def _name(backend: Any) -> str:
    return f"{type(backend).__module__}.{type(backend).__name__}"


def _bounded(call: Callable[[], T]) -> T:
    """Return what a call returns. Raises InvalidInput if it fails, or has not ended after some seconds."""
    results: list[T] = []
    failures: list[Exception] = []

    def run() -> None:
        try:
            results.append(call())
        except Exception as error:  # noqa: BLE001 (see above)
            failures.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(_SECONDS)
    if results:
        return results[0]
    reason = f"{type(failures[0]).__name__}: {failures[0]}" if failures else f"no answer for {_SECONDS:.0f} s"
    raise InvalidInput(
        f"the system's keyring can't be used ({reason}); unlock it, or run `dss login --store file`"
    )
