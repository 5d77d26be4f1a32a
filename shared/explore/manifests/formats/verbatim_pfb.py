"""`verbatim.pfb`: the metadata documents of the files as they were written, as entities with types."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from itertools import chain, islice

from shared.explore.bundle_metadata import Json
from shared.explore.manifests.content import Checkpoint, Saved
from shared.explore.manifests.inference import Observed, Places
from shared.explore.manifests.kinds import TEXT, Record
from shared.explore.manifests.originals import Original, bundles_of, originals_of
from shared.explore.manifests.pfb import MAX_ID, Entity, PfbWriter, entity, metadata_entity, schema_of
from shared.explore.manifests.seen import Seen
from shared.explore.manifests.selection import Selection
from shared.explore.tallies import encode

# Types of documents with a record each. Documents of others, and those that came while the manifest was made
# and are not as the others of their type, are JSON texts in entities of one type.
MOST_TYPES = 500
_OTHER = "other_document"
_OTHER_KIND = Record({"type": TEXT, "value": TEXT})
# Bytes at the beginning of the memory that say how long its first part is.
_LENGTH = 8

# Bundles between two checkpoints.
_BUNDLES_AT_ONCE = 20

Position = tuple[str, str]
_START: Position = ("", "")


class VerbatimPfb:
    """Makes the file. It reads the metadata twice: for the schema, with which the file begins, and for the
    entities.

    Its state is which of these it is at, and the position of the last bundle; its memory the types of all
    values, and what was written.
    """

    name = "verbatim.pfb"
    extension = "avro"
    content_type = "application/octet-stream"
    has_file_name = True
    made_in_requests = False

    def content(self, selection: Selection, saved: Saved | None = None) -> Iterator[bytes | Checkpoint]:
        """Yield the schema, the entity `Metadata`, and the documents, bundle by bundle."""
        is_writing, *position = saved.state if saved else (False, *_START)
        after: Position = (position[0], position[1])
        types, seen = _unpacked(saved.memory) if saved else (Types(), Seen())
        if not is_writing:
            for documents, last in _documents(selection, after):
                for each in documents:
                    types.add(each)
                yield Checkpoint([False, *last], lambda: _packed(types, seen))
            after = _START
        entities = Entities(types, seen)
        writer = PfbWriter(entities.schema, begun=is_writing)
        if not is_writing:
            writer.write([entities.metadata])
        for documents, last in _documents(selection, after):
            writer.write(chain.from_iterable(map(entities.of, documents)))
            yield writer.take()
            yield Checkpoint([True, *last], lambda: _packed(types, seen))
        yield writer.take()


def _documents(selection: Selection, after: Position) -> Iterator[tuple[Iterator[Original], Position]]:
    """Yield the documents of some bundles at a time, and the position of the last of these."""
    with closing(bundles_of(selection, after, documents=False)) as bundles:
        while some := list(islice(bundles, _BUNDLES_AT_ONCE)):
            found = (
                originals_of(selection.catalogue, each.metadata, {file.entity_id for file in each.files})
                for each in some
            )
            yield chain.from_iterable(found), some[-1].last


class Types:
    """The types of the values of documents, by the types of these."""

    def __init__(self, observed: Mapping[str, Observed] | None = None, places: Places | None = None) -> None:
        self.places = places or Places()
        self.observed = dict(observed or {})

    def add(self, document: Original) -> None:
        """Take in a document."""
        if document.type not in self.observed and document.type != _OTHER and len(self.observed) < MOST_TYPES:
            self.observed[document.type] = Observed(self.places)
        if document.type in self.observed:
            self.observed[document.type].add(_object(document))

    def fit(self, document: Original) -> bool:
        """Return whether a document has nothing that is not known of its type."""
        observed = self.observed.get(document.type)
        return observed is not None and observed.fits(_object(document))


def _object(document: Original) -> Json:
    """Return the content of a document as an object, which the content of an entity must be."""
    return document.value if isinstance(document.value, dict) else {"value": document.value}


class Entities:
    """Makes entities of documents, each once, whose types are known."""

    def __init__(self, types: Types, seen: Seen) -> None:
        self._types = types
        self._seen = seen
        self._records = {name: types.observed[name].record().at(name) for name in sorted(types.observed)}
        self._other = _OTHER_KIND.at(_OTHER)
        self.schema = schema_of([*self._records.values(), self._other])
        self.metadata = metadata_entity(each.record for each in self._records.values())

    def of(self, document: Original) -> Iterator[Entity]:
        """Yield the entity of a document if it is new: with its id, or a longer one if another one has it."""
        text = f"{document.type} {encode(document.value)}".encode()
        if not self._seen.add(text):
            return
        entity_id = document.id
        if not self._seen.add(f"{document.type} id {entity_id}".encode()):
            entity_id = f"{entity_id}.{hashlib.sha256(text).hexdigest()[:16]}"
        if len(entity_id) > MAX_ID:
            entity_id = hashlib.sha256(entity_id.encode()).hexdigest()
        if self._types.fit(document):
            yield entity(entity_id, self._records[document.type], _object(document))
        else:
            value = {"type": document.type, "value": encode(document.value)}
            yield entity(entity_id, self._other, value)


def _packed(types: Types, seen: Seen) -> bytes:
    """Return what another process goes on with."""
    observed = {name: each.packed() for name, each in types.observed.items()}
    packed = json.dumps([types.places.left, observed]).encode()
    return seen.encode(len(packed).to_bytes(_LENGTH, "big") + packed)


def _unpacked(memory: bytes) -> tuple[Types, Seen]:
    end = _LENGTH + int.from_bytes(memory[:_LENGTH], "big")
    left, packed = json.loads(memory[_LENGTH:end])
    places = Places(left)
    types = Types({name: Observed.unpacked(each, places) for name, each in packed.items()}, places)
    # Without another copy of all digests.
    return types, Seen(memoryview(memory)[end:])
