"""Metadata documents: what manifests are made of that hold everything as it was uploaded."""

import json
from collections.abc import Iterator, Mapping
from typing import IO, Any

from dss.manifests.lines import placed_lines
from dss.manifests.rows import DOCUMENT, NAME, Row, damaged

# A metadata document has some kilobytes; a line that is longer is none.
_MOST_CHARACTERS = 64 * 1024 * 1024


def rows(stream: IO[bytes]) -> Iterator[Row]:
    """Yield a row for each document of a file in lines of JSON, `{"type": …, "value": document}`.

    One line is in memory. Raises InvalidInput, which names the line, for what is no such line.
    """
    for place, line in placed_lines(stream, _MOST_CHARACTERS):
        try:
            record = json.loads(line)
            document = record["value"]
        except (ValueError, RecursionError, TypeError, KeyError) as error:
            why = "no 'value'" if isinstance(error, KeyError | TypeError) else f"no JSON: {error}"
            raise damaged(place, why) from error
        if row := row_of(place, document):
            yield row


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
