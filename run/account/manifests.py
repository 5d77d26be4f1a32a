"""Manifests of a selection: choose a format, watch it being made, download it, or open it in Terra."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from run.account.selections import Selection
from run.api.call import Call
from run.browse.commands import Lines
from run.browse.operations import HOME
from run.explore.manifest_tokens import ManifestToken
from run.explore.manifests import begin_manifest, find_manifest, hand_out, is_made
from shared.catalog import JobState

# Where manifests are watched; their token follows.
WATCHED = f"{HOME}/manifests"
# What each format is for, in the order of the page.
FORMATS: Mapping[str, str] = {
    "compact": "Table of the files: names, sizes, checksums, URLs, and what the filters are about",
    "curl": "Configuration of curl that downloads all files",
    "terra.pfb": "Export to Terra, or Gen3: PFB",
    "terra.bdbag": "Export to Terra: BDBag, a row for each bundle",
    "parquet": "Table with types, for pandas, DuckDB or BigQuery: Parquet",
    "full": "Table with all properties of all metadata",
    "verbatim.jsonl": "The metadata as they were written, one document a line",
    "verbatim.pfb": "The metadata as they were written, as a PFB",
}
# The forms that Terra imports, by the names that it has for them.
# https://github.com/DataBiosphere/terra-ui: src/import-data/url-utils.ts
_OF_TERRA: Mapping[str, str] = {"terra.pfb": "pfb", "terra.bdbag": "bagit"}
_TERRA = "https://app.terra.bio"


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A manifest: how many files it has, and how many are in it; if it is made, where it is.

    `cause` is why it could not be made, `terra` the address by which Terra imports it, and `lines` are
    command lines, each with its shell.
    """

    format: str
    files: int
    files_done: int
    cause: str = ""
    location: str = ""
    terra: str = ""
    lines: Sequence[Lines] = ()


def begin(call: Call, selection: Selection, a_format: str) -> str:
    """Have a manifest made; return the page where it is watched. Raises as PUT of a manifest does."""
    job = begin_manifest(replace(call, query={}), {**selection.arguments, "format": a_format})
    return f"{WATCHED}/{ManifestToken(job.id)}"


def watch(call: Call, token: str) -> Watched:
    """Return what is known of a manifest. Raises as GET of a manifest does."""
    job, _ = find_manifest(call, token)
    known: dict[str, Any] = {"format": job.order.format, "files": job.order.files}
    if job.state is JobState.FAILED:
        return Watched(**known, files_done=job.files_done, cause=job.cause or "for an unknown reason")
    if not is_made(call, job):
        return Watched(**known, files_done=job.files_done)
    made = hand_out(call, job)
    form = _OF_TERRA.get(job.order.format)
    return Watched(
        **known,
        files_done=job.order.files,
        location=made.location,
        terra=f"{_TERRA}/#import-data?format={form}&url={quote(made.signed, safe='')}" if form else "",
        lines=[Lines(f"In {shell}", text) for shell, text in made.lines.items()],
    )
