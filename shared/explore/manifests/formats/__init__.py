"""The formats of manifests, a row and a module each; see `Format`."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint

from shared.explore.manifests.content import Format

DEFAULT = "compact"
# Classes without parameters, in the syntax of entry points, so that only the one in use is imported.
FORMATS: Mapping[str, str] = {
    "compact": "shared.explore.manifests.formats.compact:Compact",
    "curl": "shared.explore.manifests.formats.curl:Curl",
    "full": "shared.explore.manifests.formats.full:Full",
    "parquet": "shared.explore.manifests.formats.parquet:Parquet",
    "terra.bdbag": "shared.explore.manifests.formats.terra_bdbag:TerraBdbag",
    "terra.pfb": "shared.explore.manifests.formats.terra_pfb:TerraPfb",
    "verbatim.jsonl": "shared.explore.manifests.formats.verbatim_jsonl:VerbatimJsonl",
    "verbatim.pfb": "shared.explore.manifests.formats.verbatim_pfb:VerbatimPfb",
}


def open_format(name: str) -> Format:
    """Return a format by its name. Raises KeyError if there is none."""
    opened: Format = EntryPoint(name, FORMATS[name], "").load()()
    return opened
