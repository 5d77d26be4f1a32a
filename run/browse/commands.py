"""Lines to copy: how to take what a page shows with the command line, curl, DRS and Python."""

from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote
from urllib.parse import urlencode, urlsplit

from run.api.call import Call
from shared.api_path import api_url
from shared.explore.drs_uris import versioned_drs_uri
from shared.identifiers import Fqid


@dataclass(frozen=True)
class Lines:
    """What lines are for, and the lines."""

    purpose: str
    text: str


def lines_of_bundle(call: Call, fqid: Fqid, replica: str) -> Sequence[Lines]:
    """Return how to take a bundle from a replica."""
    command = f"--url {quote(call.base_url)} --replica {quote(replica)}"
    query = urlencode({"replica": replica, "version": fqid.version, "presignedurls": "true"})
    return (
        Lines("Download, with checksums verified", f"dss download {fqid} {command}"),
        Lines("List of files with signed URLs", f"curl {_url(call, f'bundles/{fqid.uuid}', query)}"),
        Lines("DRS", drs_uri(call, fqid)),
        Lines("Python", _python(call, replica, f'client.download("{fqid}", "copy")')),
        Lines("Copy to a bucket of yours", f"dss checkout {fqid} {command} --to-bucket MY-BUCKET --wait"),
        Lines(
            "Export to Terra, through a bucket of yours",
            f"dss terra export {fqid} {command} --to gs://MY-BUCKET/exports",
        ),
    )


def lines_of_file(call: Call, fqid: Fqid, replica: str, name: str) -> Sequence[Lines]:
    """Return how to take a file from a replica; `name` is what it is called, if that is known."""
    query = urlencode({"replica": replica, "version": fqid.version})
    url = _url(call, f"files/{fqid.uuid}", query)
    # Nobody should write outside of a directory by a line that is copied from a page.
    last = name.rstrip("/").rpartition("/")[2].strip(".") or fqid.uuid
    lines = [
        Lines("Download", f"curl --location --output {quote(last)} {url}"),
        Lines("DRS", drs_uri(call, fqid)),
    ]
    if last.lower().endswith((".csv", ".tsv", ".csv.gz", ".tsv.gz")):
        separator = ", sep='\\t'" if ".tsv" in last.lower() else ""
        lines.append(Lines("pandas", f"import pandas\ntable = pandas.read_csv({url}{separator})"))
    return lines


def drs_uri(call: Call, fqid: Fqid) -> str:
    """Return the DRS URI of a version."""
    return versioned_drs_uri(urlsplit(call.base_url).netloc)(fqid.uuid, fqid.version)


def _url(call: Call, path: str, query: str) -> str:
    return quote(f"{api_url(call.base_url)}/{path}?{query}")


def _python(call: Call, replica: str, line: str) -> str:
    return f"import dss\nclient = dss.Client({call.base_url!r}, replica={replica!r})\n{line}"
