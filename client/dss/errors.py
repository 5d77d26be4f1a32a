"""What can go wrong on this side of the wire, in one tree::

ClientError
├── InvalidInput      an argument, option, file or setting is not usable; nothing was done
│   ├── MissingExtra  a package that this needs is not installed
│   ├── NoCatalogue   the DSS has no catalogue, or none of that name, or nothing of that type in it
│   ├── NoSuchName    a bundle has no file of that name
│   └── NoToken       there is no token, or it has expired
├── Busy              another process works on the same directory, file or upload
├── CallFailed        the DSS, or the store behind a signed URL, answered with an error
│   ├── NotSignedIn   401: it needs a token, or the token is not accepted
│   ├── Forbidden     403: you may not do this
│   ├── NotFound      404, 410: there is no such object on this replica, or it is hidden or removed
│   ├── Conflict      409: the name is taken, by other content or another owner
│   └── NotADss       what answered is another server than a DSS
├── Unreachable       no answer, for as long as we were willing to try, or none can be expected
├── SignInFailed      nobody signed in, or the login has ended; nothing was stored
├── StagingFailed     the service of a bucket, for staging or an export, answered with an error
├── NotRecorded       what an upload has done can't be written to its state file
├── OperationFailed   a checkout, a run or an operator's command has failed
├── ContentChanged    a local file or a bundle changed while it was being read
├── WrongContent      bytes arrived, and have another size or checksum than promised
└── Interrupted       Ctrl-C, or an error elsewhere that makes going on useless
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dss.suggestions import suggestion

if TYPE_CHECKING:
    import requests


class ClientError(Exception):
    """An error that a person can act upon; its text says what is wrong, without a stack trace.

    Errors can be pickled: those of a worker process arrive as they are.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception would call the class with the text, which is not what all of ours take.
        return _restored, (type(self), self.args, self.__dict__)

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints for this error."""
        return {"title": str(self)}


class InvalidInput(ClientError):
    """An argument, option, file or setting is not usable. Raised before anything is done."""


class MissingExtra(InvalidInput):
    """A package that this needs is not installed; the text names the extra that installs it."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs a package that is not installed: pip install 'dss-client[{extra}]'")


class NoCatalogue(InvalidInput):
    """The DSS has no catalogue, or none of that name, or nothing of that type in it; the text has what there
    is."""


class NoToken(InvalidInput):
    """There is no token for something that needs one, or it has expired."""


class NoSuchName(InvalidInput):
    """A bundle has no file of that name; the text has names that are like it."""

    @classmethod
    def of(cls, bundle: str, name: str, names: Sequence[str]) -> "NoSuchName":
        """Return the error for a name that is not among those of a bundle, UUID.VERSION."""
        return cls(f"bundle {bundle} has no file {name!r}, of {len(names)} files{suggestion(name, names)}")


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
        """Return the error for a response, of the class for its status; a problem+json body says more."""
        code, title = response.reason or "error", ""
        try:
            problem = response.json()
        except (ValueError, OSError):
            problem = None
        if isinstance(problem, dict):
            # The catalogue's errors have the form of Azul's.
            code = str(problem.get("code") or problem.get("Code") or code)
            title = str(problem.get("title") or problem.get("Message") or title)
        request = response.request
        chosen = _BY_STATUS.get(response.status_code, cls)
        return chosen(
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


class NotSignedIn(CallFailed):
    """401: the DSS needs a token for this, or does not accept the one that it got."""


class Forbidden(CallFailed):
    """403: you may not do this; the title says whom to ask, if the DSS knows."""


class NotFound(CallFailed):
    """404 or 410: the replica has no such object, or it is hidden or removed."""


class Conflict(CallFailed):
    """409: there is other content under this name, or the name is another owner's."""


_BY_STATUS: dict[int, type[CallFailed]] = {
    401: NotSignedIn,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: NotFound,
}


class NotADss(CallFailed):
    """What answered is no DSS: HTML, JSON of another form, or an error without a code of ours."""

    @classmethod
    def of(cls, response: "requests.Response", note: str = "") -> "NotADss":
        """Return the error for a response, with the kind of its body."""
        request = response.request
        address = "/".join(str(request.url).split("/")[:3])
        where = response.headers.get("Location") if response.is_redirect else None
        what = f"a redirect to {where.partition('?')[0][:120]}" if where else _body_of(response)
        return cls(
            method=str(request.method),
            url=str(request.url),
            status=response.status_code,
            code="not_a_dss",
            title=f"the answer is {what}{note}. Is {address} a DSS? Check --url, or DSS_URL",
        )


def _body_of(response: "requests.Response") -> str:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
    if "html" in kind:
        return "an HTML page"
    return "JSON of another service" if "json" in kind else f"of type {kind[:60] or 'unknown'}"


class Unreachable(ClientError):
    """No connection, or one that broke again and again."""


class SignInFailed(ClientError):
    """Nobody signed in, the issuer refused, or a login has ended: `dss login` makes a new one."""


class StagingFailed(ClientError):
    """An object in a bucket could not be read, written or removed: of a staging, an export, a source."""


class NotRecorded(ClientError):
    """What an upload has done can't be written to its state file: going on, it would be done again."""


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


def _restored(kind: type[ClientError], args: tuple[Any, ...], state: dict[str, Any]) -> ClientError:
    """Return an error as it was before it was pickled."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error
