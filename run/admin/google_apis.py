"""The REST APIs of Google Cloud, for commands of operators."""

from collections.abc import Iterator, Mapping
from typing import Any

import requests

from dss.errors import OperationFailed

_SECONDS = 20
GOOGLE = "https://{service}.googleapis.com"


class GoogleApis:
    """The REST APIs of Google Cloud; `root` is where a service is, with `{service}` for its name."""

    def __init__(self, session: requests.Session, root: str = GOOGLE) -> None:
        self._session = session
        self._root = root

    def ask(
        self, service: str, path: str, body: Mapping[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Return status and document of a GET, or of a POST if there is a body.

        Raise OperationFailed if there is no answer, or one of 401 or 5xx.
        """
        url = f"{self._root.format(service=service)}/{path}"
        method = "GET" if body is None else "POST"
        try:
            answer = self._session.request(method, url, json=body, timeout=_SECONDS)
            document = answer.json()
        except (requests.RequestException, ValueError) as error:
            raise OperationFailed(f"{url}: {type(error).__name__}: {error}") from error
        if answer.status_code == 401 or answer.status_code >= 500:
            raise OperationFailed(f"{url}: {answer.status_code}: {message_of(document)}")
        return answer.status_code, document if isinstance(document, dict) else {}

    def require(self, service: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return a document as `ask` does. Raise OperationFailed, with what the API says, if it refuses."""
        status, document = self.ask(service, path, body)
        if status >= 400:
            raise OperationFailed(f"{path.partition('?')[0]}: {status}: {message_of(document)}")
        return document

    def rows(self, service: str, path: str, field: str, *, page: int) -> Iterator[dict[str, Any]]:
        """Yield the rows of a list, `page` with each request. Raise OperationFailed."""
        token = ""
        while True:
            document = self.require(service, f"{path}?pageSize={page}&pageToken={token}")
            yield from document.get(field, ())
            token = str(document.get("nextPageToken", ""))
            if not token:
                return


def message_of(document: Any) -> str:
    """Return what an API says of an error."""
    error = document.get("error", {}) if isinstance(document, dict) else {}
    return str(error.get("message", "")) if isinstance(error, dict) else str(error)
