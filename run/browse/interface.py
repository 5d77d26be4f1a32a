"""The pages as an interface of the API: their operations and paths, their files, and their form of errors."""

from flask import Flask

from run.api.interfaces import Interface
from run.browse import handlers
from run.browse.errors import form_error
from run.browse.operations import HOME, OPERATIONS
from run.browse.static import STATIC, install_static
from shared.system import Dss


def interface() -> Interface:
    """Return the pages as an interface."""
    return Interface(
        area="browse",
        handlers=handlers,
        operations=OPERATIONS,
        paths=(HOME,),
        open_to_all=frozenset(),
        without_back_end=frozenset(STATIC),
        form=form_error,
        install=install,
        front=HOME,
    )


def install(app: Flask, dss: Dss) -> None:
    """Add the routes of the style sheet and the script."""
    del dss
    install_static(app)
