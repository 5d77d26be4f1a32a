"""Texts of others, as a line of a table or a terminal can hold them."""

import re

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def one_line(text: str) -> str:
    """Return a text with a space for each run of control characters and line breaks."""
    return _CONTROLS.sub(" ", text)
