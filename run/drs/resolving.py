"""From an id to the object that the caller may read, or to the reason why there is none."""

from collections.abc import Iterable, Mapping

from run.api.call import Call
from shared.access import Resource
from shared.drs.objects import DataObject, ObjectId, absent_resources, find_objects, is_under_way
from shared.errors import DssError, NotFound


def resolve(call: Call, text: str) -> DataObject:
    """Return the object with an id.

    Raise NotFound, of which the state is `pending` if it is a file that is being verified, Unauthorized,
    Forbidden or Gone.
    """
    found = resolve_many(call, [text])[text]
    if isinstance(found, NotFound):
        wanted = ObjectId.parse(text)
        raise NotFound(
            found.title, replica_state="pending" if wanted and is_under_way(call.dss, wanted) else "absent"
        )
    if isinstance(found, DssError):
        raise found
    call.is_about(found.fqid.uuid, found.fqid.version)
    return found


def resolve_many(call: Call, texts: Iterable[str]) -> Mapping[str, DataObject | DssError]:
    """Return the objects with these ids, or the errors that `resolve` raises."""
    ids = {text: ObjectId.parse(text) for text in texts}
    wanted = {one for one in ids.values() if one}
    found = find_objects(call.dss, wanted)
    absent = absent_resources(call.dss, wanted - found.keys())
    access = _Access(call)

    def outcome(text: str) -> DataObject | DssError:
        wanted = ids[text]
        if wanted is None:
            return _not_found(text)
        thing = found.get(wanted)
        refusal = access.refusal(thing.resource if thing else absent[wanted], text)
        if refusal or (thing and thing.available):
            return refusal or found[wanted]
        return _not_found(text)

    return {text: outcome(text) for text in ids}


class _Access:
    """Decisions for one call: one for each kind of readers, since the caller is the same."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._decided: dict[tuple[object, ...], DssError | None] = {}

    def refusal(self, what: Resource, text: str) -> DssError | None:
        """Return why the caller may not read something, or None; NotFound if it must seem not to be there."""
        key = (what.readers, what.owner, what.owner_group, what.purged)
        if key not in self._decided:
            self._decided[key] = self._ask(what, text)
        return self._decided[key]

    def _ask(self, what: Resource, text: str) -> DssError | None:
        try:
            return None if self._call.sees(what) else _not_found(text)
        except DssError as error:
            return error


def _not_found(text: str) -> NotFound:
    return NotFound(f"{text[:120]!r}: there is no object with this id")
