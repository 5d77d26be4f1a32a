"""The Data Storage System from Python: put data sets in, find them, get them out::

import dss

client = dss.Client("https://dss.example.org", token)
client.download(uuid, to="some/directory")

`dss.errors` has what can go wrong, in one tree.
"""

from typing import TYPE_CHECKING, Any

from dss import errors

if TYPE_CHECKING:
    from dss.client import Client

__all__ = ["Client", "errors"]


def __getattr__(name: str) -> Any:
    """Import `Client` when it is first used: `dss --help` does without what it imports."""
    if name != "Client":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dss.client import Client

    return Client
