"""Under which name a metadata document groups the content of a bundle's JSON files."""

import re

_NUMBER = re.compile(r"(?<=.)_[0-9]+$")


def group_name(name: str) -> str:
    """Return the name under which a document groups a file's content: `a_json` for `a_3.json`."""
    stem, dot, ending = name.rpartition(".")
    if not dot:
        stem, ending = ending, ""
    return (_NUMBER.sub("", stem) + dot + ending).replace(".", "_")
