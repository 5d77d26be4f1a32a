"""PFBs, Avro containers of entities: those for Terra, and those of metadata documents."""

from collections.abc import Iterator, Mapping
from typing import IO, Any

from dss.errors import InvalidInput, MissingExtra
from dss.manifests import documents
from dss.manifests.rows import COLUMNS, NAME, SHA256, SIZE, UUID, VERSION, Row, damaged

# Azul's PFBs have files as `files`, with these members; those of `dss terra export` as `file`.
_FILES: Mapping[str, Mapping[str, str]] = {
    "files": {UUID: "uuid", VERSION: "version", NAME: "name", SHA256: "sha256", SIZE: "size"},
    "file": {UUID: UUID, VERSION: VERSION, NAME: NAME, SHA256: "sha256", SIZE: SIZE},
}


def rows(stream: IO[bytes]) -> Iterator[Row]:
    """Yield a row for each entity of a file; a block of entities is in memory.

    Raises MissingExtra, and InvalidInput, which names the entity, for what is no PFB, or ends too early.
    """
    try:
        from fastavro import reader
        from fastavro.schema import SchemaParseException
    except ImportError as error:
        raise MissingExtra("a manifest in PFB", "terra") from error

    number = 0
    try:
        for entity in reader(stream):
            number += 1
            if row := _row(f"entity {number}", entity):
                yield row
    except InvalidInput:
        raise
    # Of damaged data fastavro raises any error of its decoders.
    except (ValueError, TypeError, LookupError, EOFError, OSError, SchemaParseException) as error:
        raise damaged(f"after entity {number}", f"{type(error).__name__}: {error}") from error


def _row(place: str, entity: Any) -> Row | None:
    if not isinstance(entity, Mapping) or not isinstance(entity.get("object"), Mapping):
        raise InvalidInput(f"the manifest is Avro, and no PFB: {place} has no object")
    values = entity["object"]
    members = _FILES.get(str(entity.get("name")))
    if members and members[UUID] in values:
        kept = {column: values[column] for column in COLUMNS if column in values}
        found = {column: values.get(member) for column, member in members.items()}
        return Row(place=place, values={**kept, **found})
    return documents.row_of(place, values)
