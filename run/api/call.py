"""One request, as the handlers see it: the caller, the address of the API, and the dependencies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from run.api.auth import Caller
from run.api.memory_budget import MemoryBudgets
from shared.clock import check_not_ahead
from shared.errors import Unauthorized
from shared.identifiers import Fqid, check_version
from shared.system import Dss


@dataclass(frozen=True, kw_only=True)
class Call:
    """What a handler gets beside the arguments of the contract.

    `requester` returns the e-mail of the caller, also in an open operation, or else the client's address.
    `repeat_key` is the header `Idempotency-Key`, the same for a request and its repetitions; `if_match` is
    the header `If-Match`.
    """

    dss: Dss
    caller: Caller | None
    base_url: str
    path: str
    query: Mapping[str, str]
    memory: MemoryBudgets
    requester: Callable[[], str]
    repeat_key: str = ""
    if_match: str = ""

    @property
    def signed_in(self) -> Caller:
        """The caller of a secured operation. Raise Unauthorized in an open one."""
        if self.caller is None:
            raise Unauthorized("this operation needs a token")
        return self.caller

    def check_new_version(self, version: str) -> None:
        """Raise IllegalVersion if a version to write is more than DSS_VERSION_AHEAD_SECONDS ahead."""
        check_not_ahead(self.dss.clock, version, self.dss.settings.version_ahead_seconds)

    def replaced(self, uuid: str) -> Fqid | None:
        """Return the version that `If-Match` names, with or without quotes; None without it, or for `*`.

        Raise IllegalVersion if it is none.
        """
        text = self.if_match.strip()
        if text in ("", "*"):
            return None
        return Fqid(uuid, check_version(text.removeprefix('"').removesuffix('"'), "If-Match"))

    def url(self, **changes: str | int) -> str:
        """Return the absolute URL of this request, with these query parameters added or replaced.

        They come first: old clients append their original query to a link, and the first of two parameters
        with one name counts.
        """
        unchanged = {name: value for name, value in self.query.items() if name not in changes}
        return f"{self.base_url}{self.path}?{urlencode({**changes, **unchanged})}"
