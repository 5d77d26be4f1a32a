"""Export to Terra: a PFB of a selection in a bucket, and the link that makes Terra import it."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote

from dss.api.session import Session
from dss.errors import InvalidInput
from dss.terra.entities import BUNDLE, FILE, Entity, entities
from dss.terra.pfb import write_pfb
from dss.terra.selection import Selection
from dss.transfer.signed_objects import MOST_SECONDS, SignedObjects

TERRA = "https://app.terra.bio"
# Terra fetches the file only after its user has signed in and chosen a workspace.
SECONDS = 3600
# Bytes of an export that stay in memory; what is more goes to a temporary file.
_IN_MEMORY = 8 * 1024 * 1024
_CONTENT_TYPE = "application/octet-stream"


@dataclass(frozen=True, kw_only=True)
class TerraExport:
    """An export: its rows, its size in bytes, where it is, and the link for Terra.

    The link works for `seconds`, and shows the rows to all who have it. Of a dry run `link` is empty, and
    nothing is at `url`.
    """

    bundles: int
    files: int
    bytes: int
    url: str
    link: str
    seconds: int

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        return asdict(self)


def export(
    session: Session,
    selection: Selection,
    *,
    to: str,
    seconds: int = SECONDS,
    terra: str = TERRA,
    dry_run: bool = False,
) -> TerraExport:
    """Write a PFB of a selection to a new object below `to`, gs://bucket/prefix, and return it, signed.

    The caller's own Google credentials write and sign; `terra` is the Terra to import it. Nothing is in the
    bucket before all of it was written, and nothing at all if `dry_run`. Raises InvalidInput, MissingExtra,
    StagingFailed, or as `Selection.parts`.
    """
    if not 0 < seconds <= MOST_SECONDS:
        raise InvalidInput(f"seconds: {seconds} is not between 1 and {MOST_SECONDS}")
    objects = SignedObjects(to)
    url = objects.new_url(".avro")
    rows: Counter[str] = Counter()
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as stream:
        size = write_pfb(stream, _counted(entities(session, selection), rows))
        if not rows:
            raise InvalidInput("the selection is empty; there is nothing to export")
        stream.seek(0)
        if not dry_run:
            objects.put(url, stream, size, _CONTENT_TYPE)
    link = "" if dry_run else import_link(objects.sign(url, seconds), terra)
    return TerraExport(
        bundles=rows[BUNDLE], files=rows[FILE], bytes=size, url=url, link=link, seconds=seconds
    )


def import_link(url: str, terra: str = TERRA) -> str:
    """Return the link at which Terra asks its user where to import the PFB at a URL."""
    return f"{terra.rstrip('/')}/#import-data?format=pfb&url={quote(url, safe='')}"


def _counted(rows: Iterable[Entity], counter: Counter[str]) -> Iterator[Entity]:
    for row in rows:
        counter[row.table] += 1
        yield row
