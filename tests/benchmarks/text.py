"""Text of reports."""

import textwrap

_WIDTH = 110


def paragraph(text: str) -> str:
    """Return a text in lines that are not too long."""
    return "\n".join(
        textwrap.wrap(" ".join(text.split()), _WIDTH, break_long_words=False, break_on_hyphens=False)
    )
