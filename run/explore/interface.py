"""The catalogue's service as an interface of the API: its operations and paths, and its document."""

from flask import Flask, Response

from run.api.interfaces import Interface
from run.api.json_text import json_text
from run.explore import handlers, health
from run.explore.document import load_document, operations_of
from run.explore.errors import form_error
from shared.system import Dss

_OPENAPI = "/openapi"
# At the root of the host, where the predecessor's clients look. Data objects are below the paths of DRS, and
# have its form of errors.
_PATHS = ("/index/", "/manifest/", "/repository/", "/fetch/", "/health", "/integrations", _OPENAPI)
# Monitors have no token, and clients ask first which catalogues there are. A manifest that was started by
# somebody who had signed in is found by a key, and else by those who may read what it says.
_OPEN = frozenset(
    (
        *("explore.catalogs", "explore.health_of", "explore.health_of_all", "explore.integrations"),
        *("explore.fetch_manifest", "explore.get_manifest"),
    )
)


def interface() -> Interface:
    """Return the catalogue's service as an interface."""
    return Interface(
        area="explore",
        handlers=handlers,
        operations=operations_of(load_document()),
        paths=_PATHS,
        open_to_all=_OPEN,
        without_back_end=frozenset((_OPENAPI, "/health/basic", "/integrations")),
        form=form_error,
        install=install,
    )


def install(app: Flask, dss: Dss) -> None:
    """Add the route of the document, and what checks the health."""
    health.install(app, dss)
    text = json_text(load_document())

    def openapi() -> Response:
        response = Response(text, mimetype="application/json")
        response.headers["Cache-Control"] = "public, max-age=500"
        return response

    app.add_url_rule(_OPENAPI, "explore.openapi", openapi)
