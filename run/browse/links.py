"""The addresses of pages of files."""

from urllib.parse import urlencode

from run.browse.operations import HOME

# Characters of a name in an address. A page has a hundred of these, and is less than 100 KB.
_MOST_OF_NAME = 200


def file_url(uuid: str, version: str, name: str, replica: str = "") -> str:
    """Return the page of a file version; it says under which name one came to it, unless that is long."""
    query = {
        "version": version,
        **({"replica": replica} if replica else {}),
        **({"name": name} if 0 < len(name) <= _MOST_OF_NAME else {}),
    }
    return f"{HOME}/files/{uuid}?{urlencode(query, errors='surrogatepass')}"
