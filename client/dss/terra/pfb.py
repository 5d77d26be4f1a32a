"""PFB, the portable format for bioinformatics: tables in one Avro container, which Terra imports.

The schema is that of pypfb, https://github.com/uc-cdis/pypfb: a record `Entity` of which `object` is a union
of `Metadata`, the first record, and a record for each table.
"""

import io
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any, cast

from dss.errors import InvalidInput, MissingExtra
from dss.terra.entities import BUNDLE, COLUMNS, FILE, Entity

# Terra imports less than 2 GiB.
MOST_BYTES = 2 * 1024 * 1024 * 1024 - 1
# Of Avro's codecs those are `null` and `deflate` that every reader has.
_CODEC = "deflate"


def write_pfb(stream: IO[bytes], entities: Iterable[Entity], *, most_bytes: int = MOST_BYTES) -> int:
    """Write entities in their order, and return the number of bytes; a block of them is in memory.

    Raises MissingExtra, and InvalidInput if there are more than `most_bytes`.
    """
    try:
        from fastavro import writer
    except ImportError as error:
        raise MissingExtra("an export to Terra", "terra") from error

    counted = _Counted(stream, most_bytes)
    writer(cast(IO[bytes], counted), _schema(), _records(entities), codec=_CODEC)
    return counted.bytes


class _Counted(io.RawIOBase):
    """Passes on what is written, up to a number of bytes."""

    def __init__(self, stream: IO[bytes], most_bytes: int) -> None:
        super().__init__()
        self._stream = stream
        self._most_bytes = most_bytes
        self.bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.bytes += len(data)
        if self.bytes > self._most_bytes:
            raise InvalidInput(
                f"the export has more than {self._most_bytes:,} bytes, the most that Terra imports; "
                "export parts of the selection"
            )
        return self._stream.write(data)


def _records(entities: Iterable[Entity]) -> Iterator[Mapping[str, Any]]:
    yield _record(None, "Metadata", {"nodes": [_node(table) for table in COLUMNS], "misc": {}}, [])
    for entity in entities:
        relations = [{"dst_id": entity.bundle, "dst_name": BUNDLE}] if entity.bundle else []
        yield _record(entity.id, entity.table, entity.values, relations)


def _record(
    id_: str | None, name: str, values: Mapping[str, Any], relations: list[dict[str, str]]
) -> Mapping[str, Any]:
    # A pair names the branch of the union.
    return {"id": id_, "name": name, "object": (name, values), "relations": relations}


def _node(table: str) -> Mapping[str, Any]:
    links = [{"multiplicity": "MANY_TO_ONE", "dst": BUNDLE, "name": BUNDLE}] if table == FILE else []
    properties = [{"name": column, "ontology_reference": "", "values": {}} for column in COLUMNS[table]]
    return {"name": table, "ontology_reference": "", "values": {}, "links": links, "properties": properties}


def _schema() -> dict[str, Any]:
    objects = [_METADATA, *(_table_schema(table) for table in COLUMNS)]
    return _named(
        "Entity",
        id={"type": ["null", "string"], "default": None},
        name={"type": "string"},
        object={"type": objects},
        relations={
            "type": _list(_named("Relation", dst_id={"type": "string"}, dst_name={"type": "string"})),
            "default": [],
        },
    )


def _table_schema(table: str) -> dict[str, Any]:
    columns = COLUMNS[table].items()
    return _named(table, **{column: {"type": ["null", kind], "default": None} for column, kind in columns})


def _named(record: str, /, **members: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a record."""
    return {
        "type": "record",
        "name": record,
        "fields": [{"name": member, **schema} for member, schema in members.items()],
    }


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_TEXT = {"type": "string"}
_TEXTS = {"type": {"type": "map", "values": "string"}}
_MULTIPLICITY = {
    "type": "enum",
    "name": "Multiplicity",
    "symbols": ["ONE_TO_ONE", "ONE_TO_MANY", "MANY_TO_ONE", "MANY_TO_MANY"],
}
_METADATA = _named(
    "Metadata",
    nodes={
        "type": _list(
            _named(
                "Node",
                name=_TEXT,
                ontology_reference=_TEXT,
                values=_TEXTS,
                links={
                    "type": _list(_named("Link", multiplicity={"type": _MULTIPLICITY}, dst=_TEXT, name=_TEXT))
                },
                properties={
                    "type": _list(_named("Property", name=_TEXT, ontology_reference=_TEXT, values=_TEXTS))
                },
            )
        )
    },
    misc=_TEXTS,
)
