"""`terra.pfb`: the files, and what they came from, as entities with relations, for Terra and Gen3."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import lru_cache
from uuid import UUID, uuid5

from shared.explore.bundle_metadata import Json
from shared.explore.manifests.content import Checkpoint, Saved
from shared.explore.manifests.file_kinds import FILES, kinds_of
from shared.explore.manifests.kinds import Kind, Record
from shared.explore.manifests.pfb import Entity, PfbWriter, entity, metadata_entity, schema_of
from shared.explore.manifests.seen import Seen
from shared.explore.manifests.selection import SelectedFile, Selection
from shared.explore.tallies import encode, order

# Files between two checkpoints.
_FILES_AT_ONCE = 500
# The namespace of the predecessor's ids.
_IDS = UUID("bc93372b-9218-4f0e-b64e-6f3b339687d6")
_ID, _JOINER = "document_id", "_"


class TerraPfb:
    """Makes the file; its state is the id of the last file's entity, its memory the ids that were written."""

    name = "terra.pfb"
    extension = "avro"
    content_type = "application/octet-stream"
    has_file_name = True
    made_in_requests = True

    def content(self, selection: Selection, saved: Saved | None = None) -> Iterator[bytes | Checkpoint]:
        """Yield the schema, the entity `Metadata`, and each file behind the entities that it refers to."""
        seen = Seen(saved.memory if saved else b"")
        entities = FileEntities(kinds_of(selection.catalogue.plugin), seen)
        writer = PfbWriter(entities.schema, begun=saved is not None)
        if saved is None:
            writer.write([entities.metadata])
        with closing(selection.files(saved.state if saved else "")) as files:
            for number, each in enumerate(files, 1):
                writer.write(entities.of(each))
                if number % _FILES_AT_ONCE == 0:
                    yield writer.take()
                    yield Checkpoint(each.entity_id, seen.encode)
        yield writer.take()


class FileEntities:
    """Makes entities of documents of files, whose lists have some kinds; each inner entity once."""

    def __init__(self, kinds: Mapping[str, Kind], seen: Seen) -> None:
        self._lists = {
            listed: (kind.at(listed), _ID in kind.fields)
            for listed, kind in kinds.items()
            if isinstance(kind, Record)
        }
        self._seen = seen
        self.schema = schema_of(record for record, _ in self._lists.values())
        self.metadata = metadata_entity(kinds, linked_to=FILES)

    def of(self, selected: SelectedFile) -> Iterator[Entity]:
        """Yield the entities that a file refers to, if they are new, the file, and what it stands for."""
        relations = []
        for listed, (record, has_id) in self._lists.items():
            if listed == FILES:
                continue
            for an_id, inner in _with_ids(selected, listed, has_id=has_id):
                entity_id = f"{record.record}.{an_id}"
                relations.append((record.record, entity_id))
                # Almost all are those of other files, too.
                if self._seen.add(entity_id.encode()):
                    yield entity(entity_id, record, inner)
        relations.sort()
        record, _ = self._lists[FILES]
        for file, is_related in selected.files:
            entity_id = f"{record.record}.{_id_of(file[_ID])}"
            # A file is one document; its members may be in others, too.
            if not is_related or self._seen.add(entity_id.encode()):
                yield entity(entity_id, record, file, relations)


def _with_ids(
    selected: SelectedFile, listed: str, *, has_id: bool
) -> Iterator[tuple[str, Mapping[str, Json]]]:
    """Yield the inner entities of a list and their ids: made of their documents' ids, or, if their list has
    none, of what they hold."""
    inner = selected.contents.get(listed, ())
    if not has_id:
        return ((_id_of(encode(each)), each) for each in inner)
    with_ids = [each for each in inner if _ID in each]
    if len(with_ids) > 1:
        with_ids.sort(key=lambda each: order(each[_ID]))
    return ((_id_of(each[_ID]), each) for each in with_ids)


def _id_of(ids: Json) -> str:
    """Return the predecessor's id of an entity that is merged from those with some ids."""
    return _id_of_all(tuple(sorted(map(str, ids))) if isinstance(ids, list) else (str(ids),))


# Those of projects, protocols and donors come again and again. An item takes some 400 bytes.
@lru_cache(maxsize=10_000)
def _id_of_all(ids: tuple[str, ...]) -> str:
    # Other ids are other texts, also if the joiner is in them.
    is_safe = not any(_JOINER in each for each in ids)
    return f"{uuid5(_IDS, _JOINER.join(ids) if is_safe else encode(list(ids)))}.{len(ids)}"
