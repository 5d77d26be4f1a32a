"""The Data Storage System from Python: put data sets in, find them, get them out.

import dss

client = dss.Client("https://dss.example.org", token)
client.download(uuid, to="some/directory")
"""

from dss.client import Client

__all__ = ["Client"]
