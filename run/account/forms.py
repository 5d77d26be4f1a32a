"""Forms that pages send: fields of text, each there once, and the key that shows that a page sent them."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from run.browse.sessions import FORM_KEY, check_form_key
from shared.errors import IllegalArguments, UnsupportedMediaType

Form = Mapping[str, str]
# Fields of a form: no page has more. Characters of one.
_MOST_FIELDS = 40
_MOST_CHARACTERS = 64 * 1024


class FormBody:
    """The body of an operation that a form of a page sends, with the fields of these names."""

    def __init__(self, *names: str) -> None:
        self._names = frozenset((*names, FORM_KEY))

    def read(self, body: bytes | None, content_type: str | None) -> Mapping[str, Any]:
        """Return the texts of the fields by name, without those that are empty.

        Raises IllegalArguments and UnsupportedMediaType, and Forbidden unless the form has the key that this
        browser got with the page.
        """
        if (content_type or "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
            raise UnsupportedMediaType("send the form of the page")
        pairs = _pairs(body or b"")
        # First: a form that another site made the browser send is told nothing.
        check_form_key(next((text for name, text in pairs if name == FORM_KEY), ""))
        fields: dict[str, str] = {}
        for name, text in pairs:
            if name not in self._names:
                raise IllegalArguments(f"{name[:60]}: this form has no such field")
            if name in fields:
                raise IllegalArguments(f"{name[:60]}: is there more than once")
            if len(text) > _MOST_CHARACTERS or "\0" in text:
                raise IllegalArguments(
                    f"{name[:60]}: is longer than {_MOST_CHARACTERS:,} characters, or holds a null"
                )
            fields[name] = text.strip()
        return {name: text for name, text in fields.items() if text and name != FORM_KEY}


def needed(fields: Form, name: str, label: str) -> str:
    """Return the text of a field. Raises IllegalArguments, which calls it by its label, if it is missing."""
    if name not in fields:
        raise IllegalArguments(f"{label}: missing; fill it in")
    return fields[name]


def _pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
        )
    except ValueError:
        raise IllegalArguments(f"the form is not UTF-8, or has more than {_MOST_FIELDS} fields") from None
