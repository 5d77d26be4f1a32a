"""Makes pages of templates. All that is put into one is escaped; a page loads nothing from other servers."""

from functools import cache
from http import HTTPStatus
from typing import Any

from flask import Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from run.browse import texts
from run.browse.links import file_url
from run.browse.operations import HOME
from run.browse.sessions import form_key
from run.browse.signing_in import visitor
from run.browse.static import static_url

# No inline scripts or styles, even if a text that is shown holds some.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@cache
def _templates() -> Environment:
    made = Environment(
        loader=PackageLoader("run.browse"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {
        "home": HOME,
        "static_url": static_url,
        "file_url": file_url,
        "visitor": visitor,
        "form_key": form_key,
    }
    made.filters |= {
        "bytes": texts.bytes_text,
        "number": texts.number_text,
        "label": texts.label,
        "time": texts.time_text,
        "short": texts.short,
        "pretty": texts.pretty,
        "is_web": texts.is_web,
    }
    return made


def page(template: str, /, status: int = 200, **values: Any) -> Response:
    """Return a page. What UTF-8 can't encode in it is shown as a question mark."""
    text = _templates().get_template(template).render(**values)
    response = Response(text.encode("utf-8", "replace"), status, mimetype="text/html")
    response.headers["Content-Security-Policy"] = POLICY
    return response


def error_html(status: int, title: str, advice: str) -> bytes:
    """Return the page of an error."""
    text = (
        _templates()
        .get_template("error.html")
        .render(status=status, phrase=HTTPStatus(status).phrase, title=title, advice=advice)
    )
    return text.encode("utf-8", "replace")
