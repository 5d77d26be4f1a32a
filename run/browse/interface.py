"""The pages as an interface of the API: their operations and paths, their files, and their form of errors."""

from flask import Flask, Response, request

from run.api.interfaces import Interface
from run.browse import handlers
from run.browse.answers import install_answers
from run.browse.errors import form_error
from run.browse.operations import HOME, OPERATIONS
from run.browse.sessions import authorize, keep_form_key
from run.browse.signing_in import offer_sign_in
from run.browse.static import STATIC, install_static
from run.browse.status import install_status
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
        authorize=authorize,
    )


def install(app: Flask, dss: Dss) -> None:
    """Add the routes of the style sheet and the script, what pages keep, and what keeps pages from others."""
    install_static(app)
    install_answers(app)
    install_status(app)
    offer_sign_in(app.extensions, offered=bool(dss.settings.sign_in_clients))

    def kept_apart(response: Response) -> Response:
        if request.path.startswith(HOME) and request.path not in STATIC:
            # Pages are of who has signed in. No cache keeps them; one that does must not give them to others.
            response.vary.update(("Authorization", "Cookie"))
            keep_form_key(dss.settings, response)
        return response

    app.after_request(kept_apart)
