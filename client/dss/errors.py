"""What can go wrong on this side of the wire, in one tree::

ClientError
├── InvalidInput      an argument, option, file or setting is not usable; nothing was done
│   └── MissingExtra  a package that this needs is not installed
├── Busy              another process works on the same directory, file or upload
├── CallFailed        the DSS, or the store behind a signed URL, answered with an error
├── Unreachable       no answer, for as long as we were willing to try
├── SignInFailed      nobody signed in, or the login has ended; nothing was stored
├── StagingFailed     the staging bucket's own service answered with an error
├── OperationFailed   a checkout, a run or an operator's command has failed
├── ContentChanged    a local file or a bundle changed while it was being read
├── WrongContent      bytes arrived, and have another size or checksum than promised
└── Interrupted       Ctrl-C, or an error elsewhere that makes going on useless
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests


class ClientError(Exception):
    """An error that a person can act upon; its text says what is wrong, without a stack trace."""

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints for this error."""
        return {"title": str(self)}


class InvalidInput(ClientError):
    """An argument, option, file or setting is not usable. Raised before anything is done."""


class MissingExtra(InvalidInput):
    """A package that this needs is not installed; the text names the extra that installs it."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs a package that is not installed: pip install 'dss-client[{extra}]'")


class Busy(ClientError):
    """Another process works on the same directory, file or upload."""


class CallFailed(ClientError):
    """An HTTP answer that is an error: its `status`, and the `code` and `title` that the DSS gives."""

    def __init__(self, *, method: str, url: str, status: int, code: str, title: str) -> None:
        # The query of a signed URL is a credential, and no help to anyone who reads an error.
        place = url.partition("?")[0]
        super().__init__(f"{status} {code}: {title} ({method} {place})")
        self.status = status
        self.code = code
        self.title = title

    @classmethod
    def of(cls, response: "requests.Response", note: str = "") -> "CallFailed":
        """Return the error for a response; a problem+json body gives its code and title."""
        code, title = response.reason or "error", ""
        try:
            problem = response.json()
        except (ValueError, OSError):
            problem = None
        if isinstance(problem, dict):
            code = str(problem.get("code") or code)
            title = str(problem.get("title") or title)
        request = response.request
        return cls(
            method=str(request.method),
            url=str(request.url),
            status=response.status_code,
            code=code,
            title=(title or "no details given") + note,
        )

    @property
    def hopeless(self) -> bool:
        """Whether every other write would fail for the same reason."""
        return self.status in (401, 403) or self.code == "read_only"

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints for this error."""
        return {"status": self.status, "code": self.code, "title": self.title}


class Unreachable(ClientError):
    """No connection, or one that broke again and again."""


class SignInFailed(ClientError):
    """Nobody signed in, the issuer refused, or a login has ended: `dss login` makes a new one."""


class StagingFailed(ClientError):
    """An object could not be written to the staging bucket, or removed from it."""


class OperationFailed(ClientError):
    """A checkout, a run, or a service that an operator's command uses, has failed."""


class ContentChanged(ClientError):
    """A local file or a bundle changed while it was being read; start again."""


class WrongContent(ClientError):
    """A size or a checksum differs from what the DSS promised."""


class Interrupted(ClientError):
    """Stopped. Finished steps are recorded and not done again."""

    def __init__(self, why: str = "interrupted") -> None:
        super().__init__(why)


@contextmanager
def translated(rows: Sequence[tuple[type[Exception], Callable[[Any], ClientError]]]) -> Iterator[None]:
    """Raise the errors of another library as ours: the first row whose type matches makes the error."""
    try:
        yield
    except tuple(foreign for foreign, _ in rows) as error:
        make = next(make for foreign, make in rows if isinstance(error, foreign))
        raise make(error) from error
