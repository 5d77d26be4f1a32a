"""What people do at the pages, as an interface of the API; its paths and errors are those of the pages."""

from flask import Flask, Response

from run.account import handlers
from run.account.operations import OPERATIONS
from run.account.providers import Providers
from run.account.sign_in import PROVIDERS
from run.api.interfaces import Interface
from shared.secret_keys import secret_keys
from shared.system import Dss

# Who is not signed in has to get there.
_OPEN = frozenset(("account.sign_in", "account.finish_sign_in", "account.sign_out"))


def interface() -> Interface:
    """Return what people do at the pages as an interface."""
    return Interface(
        area="account",
        handlers=handlers,
        operations=OPERATIONS,
        paths=(),
        open_to_all=_OPEN,
        without_back_end=frozenset(),
        form=_as_it_is,
        install=install,
    )


def install(app: Flask, dss: Dss) -> None:
    """Open the providers. Raises OSError and ValueError if there are some, and no keys for sessions."""
    if dss.settings.sign_in_clients:
        secret_keys(dss.settings.secrets_key_file)
    app.extensions[PROVIDERS] = Providers(dss.settings)


def _as_it_is(_: str, __: Response) -> None:
    """Leave problems to the pages, whose paths these are."""
