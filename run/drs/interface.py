"""DRS as an interface of the API: its operations and paths, and its document."""

from flask import Flask, Response

from run.api.interfaces import Interface
from run.api.json_text import json_text
from run.drs import handlers, passports
from run.drs.document import DRS_PATH, load_document, operations_of
from run.drs.errors import form_error
from shared.api_path import API_PATH
from shared.system import Dss

# Of all answers below these paths, and of unknown ones, errors are those of DRS; some clients send `//`.
_PATHS = ("/ga4gh/", "//ga4gh/", f"{API_PATH}/ga4gh/")
_OPENAPI = f"{DRS_PATH}/openapi.json"


def interface() -> Interface:
    """Return DRS as an interface."""
    return Interface(
        area="drs",
        handlers=handlers,
        operations=operations_of(load_document()),
        paths=_PATHS,
        # Clients ask these without a token, to learn which one they need.
        open_to_all=frozenset(("drs.service_info", "drs.options_object", "drs.options_objects")),
        without_back_end=frozenset((_OPENAPI, f"{DRS_PATH}/service-info")),
        form=form_error,
        install=install,
    )


def install(app: Flask, dss: Dss) -> None:
    """Add the route of the document, and what verifies passports."""
    passports.install(app, dss)
    text = json_text(load_document())
    app.add_url_rule(_OPENAPI, "drs.openapi", lambda: Response(text, mimetype="application/json"))
