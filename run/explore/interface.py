"""The catalogue's service as an interface of the API: its operations and paths, and its document."""

from flask import Flask, Response, json

from run.api.interfaces import Interface
from run.explore import handlers
from run.explore.document import load_document, operations_of
from run.explore.errors import form_error
from shared.system import Dss

# At the root of the host, where the predecessor's clients look.
_PATHS = ("/index/", "/repository/", "/fetch/", "/openapi")
_OPENAPI = "/openapi"


def interface() -> Interface:
    """Return the catalogue's service as an interface."""
    return Interface(
        area="explore",
        handlers=handlers,
        operations=operations_of(load_document()),
        paths=_PATHS,
        open_to_all=frozenset(("explore.catalogs",)),
        without_back_end=frozenset((_OPENAPI,)),
        form=form_error,
        install=install,
    )


def install(app: Flask, _: Dss) -> None:
    """Add the route of the document."""
    text = json.dumps(load_document())

    def openapi() -> Response:
        response = Response(text + "\n", mimetype="application/json")
        response.headers["Cache-Control"] = "public, max-age=500"
        return response

    app.add_url_rule(_OPENAPI, "explore.openapi", openapi)
