"""Files in PFB, the Portable Format for Biomedical Data: Avro files of entities and their relations.

https://uc-cdis.github.io/pypfb/ describes it. The file begins with its schema and an entity `Metadata`, which
names the types of the others. Terra and Gen3 import them.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.explore.bundle_metadata import Json
from shared.explore.manifests.kinds import Compiled

Entity = dict[str, Any]

# Bytes of a block, which are compressed together, and of which a reader has one in memory.
_BLOCK = 1 << 16
# Characters. Terra takes no longer ids.
MAX_ID = 254

_TEXTS = {"type": "map", "values": "string"}


def _record(name: str, /, **fields: Json) -> dict[str, Json]:
    return {
        "name": name,
        "type": "record",
        "fields": [{"name": field, "type": kind} for field, kind in fields.items()],
    }


def _array(items: Json) -> dict[str, Json]:
    return {"type": "array", "items": items}


_MULTIPLICITY = {
    "name": "Multiplicity",
    "type": "enum",
    "symbols": ["ONE_TO_ONE", "ONE_TO_MANY", "MANY_TO_ONE", "MANY_TO_MANY"],
}
_LINK = _record("Link", multiplicity=_MULTIPLICITY, dst="string", name="string")
_PROPERTY = _record("Property", name="string", ontology_reference="string", values=_TEXTS)
_NODE = _record(
    "Node",
    name="string",
    ontology_reference="string",
    values=_TEXTS,
    links=_array(_LINK),
    properties=_array(_PROPERTY),
)
_METADATA = _record("Metadata", nodes=_array(_NODE), misc=_TEXTS)
_RELATION = _record("Relation", dst_id="string", dst_name="string")


def schema_of(entities: Iterable[Compiled]) -> dict[str, Json]:
    """Return the schema of a file whose entities are these records."""
    return {
        "name": "Entity",
        "type": "record",
        "fields": [
            {"name": "id", "type": ["null", "string"], "default": None},
            {"name": "name", "type": "string"},
            {"name": "object", "type": [_METADATA, *(each.schema for each in entities)]},
            {"name": "relations", "type": _array(_RELATION), "default": []},
        ],
    }


def metadata_entity(names: Iterable[str], linked_to: str = "") -> Entity:
    """Return the entity that names all types of entities; the others are linked to one, if it is given."""
    link = {"multiplicity": "MANY_TO_MANY", "dst": linked_to, "name": linked_to}
    nodes = [
        {
            "name": name,
            "ontology_reference": "",
            "values": {},
            "links": [link] if linked_to and name != linked_to else [],
            "properties": [],
        }
        for name in names
    ]
    return {"id": None, "name": "Metadata", "object": ("Metadata", {"nodes": nodes, "misc": {}})}


def entity(
    entity_id: str, record: Compiled, value: Json, relations: Sequence[tuple[str, str]] = ()
) -> Entity:
    """Return an entity, which is related to others: their names and ids, which must be in the file before.

    Raises ValueError if its id is longer than Terra takes.
    """
    if len(entity_id) > MAX_ID:
        raise ValueError(f"{entity_id[:MAX_ID]}…: an id has at most {MAX_ID} characters")
    return {
        "id": entity_id,
        "name": record.record,
        "object": (record.record, record.value(value)),
        "relations": [{"dst_name": name, "dst_id": an_id} for name, an_id in relations],
    }


class PfbWriter:
    """Makes the bytes of a file: the same ones for the same entities that are taken at the same places.

    With `begun`, it makes what follows bytes that another one has made of the same schema.
    """

    def __init__(self, schema: Mapping[str, Json], *, begun: bool = False) -> None:
        # It takes a moment to load, and is for these formats alone.
        from fastavro import parse_schema
        from fastavro.write import Writer

        self._bytes = io.BytesIO()
        text = json.dumps(schema)
        # Avro: 16 bytes that do not occur in the data by chance; every reader knows this compression.
        marker = hashlib.sha256(text.encode()).digest()[:16]
        parsed = parse_schema(json.loads(text))
        self._writer = Writer(self._bytes, parsed, codec="deflate", sync_interval=_BLOCK, sync_marker=marker)
        if begun:
            self._empty()

    def write(self, entities: Iterable[Entity]) -> None:
        """Add entities. Raises ValueError if one does not fit the schema."""
        for each in entities:
            self._writer.write(each)

    def take(self) -> bytes:
        """Return all bytes that were not yet taken; all entities up to here are in them."""
        self._writer.flush()
        content = self._bytes.getvalue()
        self._empty()
        return content

    def _empty(self) -> None:
        self._bytes.seek(0)
        self._bytes.truncate()
