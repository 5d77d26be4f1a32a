"""Metadata documents: what manifests are made of that hold everything as it was uploaded."""

import io
import json
from collections.abc import Iterator, Mapping
from typing import IO, Any

from dss.errors import InvalidInput
from dss.manifests.rows import DOCUMENT, NAME, Row, damaged

# A metadata document has some kilobytes; a line that is longer is none.
_MOST_CHARACTERS = 64 * 1024 * 1024


def rows(stream: IO[bytes]) -> Iterator[Row]:
    """Yield a row for each document of a file in lines of JSON, `{"type": …, "value": document}`.

    One line is in memory. Raises InvalidInput, which names the line, for what is no such line.
    """
    lines = io.TextIOWrapper(stream, encoding="utf-8-sig")
    number = 0
    try:
        while True:
            place = f"line {number + 1}"
            try:
                line = lines.readline(_MOST_CHARACTERS)
            except UnicodeDecodeError as error:
                raise InvalidInput(f"the manifest is not UTF-8, near {place}: {error.reason}") from error
            if not line:
                return
            number += 1
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                document = record["value"]
            except (ValueError, RecursionError, TypeError, KeyError) as error:
                why = "no 'value'" if isinstance(error, KeyError | TypeError) else f"no JSON: {error}"
                raise damaged(place, why) from error
            if row := row_of(place, document):
                yield row
    finally:
        lines.detach()


def row_of(place: str, document: Any) -> Row | None:
    """Return the row of a document of a file, in HCA's schema; None for one of something else."""
    core = document.get("file_core") if isinstance(document, Mapping) else None
    if not isinstance(core, Mapping):
        return None
    provenance = document.get("provenance")
    document_id = provenance.get("document_id") if isinstance(provenance, Mapping) else None
    if not document_id:
        return Row(place=place, problem="the document of a file without provenance.document_id")
    return Row(place=place, values={DOCUMENT: str(document_id), NAME: str(core.get("file_name", ""))})
