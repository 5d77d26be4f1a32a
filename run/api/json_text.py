"""The JSON text of answers."""

import json
from typing import Any

# After an answer, the prompt of a shell begins on a line of its own.
NEWLINE = b"\n"


def json_text(value: Any) -> str:
    """Return a value as JSON that ends with a newline, as every JSON answer does."""
    return json.dumps(value) + NEWLINE.decode()
