"""What can go wrong on this side of the wire, in one tree::

CliError
├── CallFailed      the DSS, or the store behind a signed URL, said no
├── Unreachable     nobody answered, for as long as we were willing to try
├── Refused         asked for something that this program does not do, told before it did anything
├── StagingFailed   the staging bucket's own service said no
├── OperationFailed the catalog, a bucket or Pub/Sub said no to an operator
├── WrongContent    bytes arrived, and are not the ones that were promised
└── Interrupted     Ctrl-C, or an error elsewhere that makes going on useless
"""

from typing import Any

import requests


class CliError(Exception):
    """An error that a person can act upon; its text says what is wrong, without a stack trace."""

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` says of it."""
        return {"title": str(self)}


class CallFailed(CliError):
    """An HTTP answer that is not what was asked for: its status, the DSS's code and title."""

    def __init__(self, *, method: str, url: str, status: int, code: str, title: str) -> None:
        # The query of a signed URL is a credential, and no help to anyone who reads an error.
        place = url.partition("?")[0]
        super().__init__(f"{status} {code}: {title} ({method} {place})")
        self.status = status
        self.code = code
        self.title = title

    @classmethod
    def of(cls, response: requests.Response, note: str = "") -> "CallFailed":
        """Return the error that an answer stands for; a problem+json body gives its code and title."""
        code, title = response.reason or "error", ""
        try:
            problem = response.json()
        except (ValueError, requests.RequestException):
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
        """Tell whether every other write would fail for the same reason."""
        return self.status in (401, 403) or self.code == "read_only"

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` says of it."""
        return {"status": self.status, "code": self.code, "title": self.title}


class Unreachable(CliError):
    """No connection, or one that broke again and again."""


class Refused(CliError):
    """Not done, and nothing was done before saying so."""


class StagingFailed(CliError):
    """An object could not be written to the staging bucket, or removed from it."""


class OperationFailed(CliError):
    """A part of the system that an operator works on directly did not do what it was asked."""


class WrongContent(CliError):
    """A size or a checksum is not what the DSS promised."""


class Interrupted(CliError):
    """Stopped; what was finished is recorded and is not done again."""

    def __init__(self, why: str = "interrupted") -> None:
        super().__init__(why)
