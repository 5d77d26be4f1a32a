"""From an id to the object that the caller may read, or to the reason why there is none."""

from collections.abc import Callable, Iterable, Mapping

from run.api.call import Call
from shared.access import Resource
from shared.drs.objects import DataObject, ObjectId, absent_resources, find_objects, is_under_way
from shared.errors import DssError, NotFound


class Hidden(NotFound):
    """The answer is that of an absent object; the caller must not know that something is there."""


def resolve(call: Call, text: str) -> DataObject:
    """Return the object with an id.

    Raise NotFound, of which the state is `pending` if it is a file that is being verified, Unauthorized,
    Forbidden or Gone.
    """
    found = resolve_many(call, [text])[text]
    # To say of what is hidden that it is on its way would tell that it is there.
    if isinstance(found, NotFound) and not isinstance(found, Hidden):
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
    refusal = _access(call)

    def outcome(text: str, found: DataObject | DssError) -> DataObject | DssError:
        if isinstance(found, DssError):
            return found
        if refused := refusal(found.resource, text):
            return refused
        return found if found.is_there else not_found(text)

    return {text: outcome(text, found) for text, found in found_many(call, texts).items()}


def found_many(call: Call, texts: Iterable[str]) -> Mapping[str, DataObject | DssError]:
    """Return what the catalog has under these ids, whether the caller may read it or not.

    Of ids under which there is nothing, the error that the caller gets: Gone, for who may know what was
    removed for good, or a refusal, or NotFound.
    """
    ids = {text: ObjectId.parse(text) for text in texts}
    wanted = {one for one in ids.values() if one}
    found = find_objects(call.dss, wanted)
    absent = absent_resources(call.dss, wanted - found.keys())
    refusal = _access(call)

    def outcome(text: str, wanted: ObjectId | None) -> DataObject | DssError:
        if wanted is None:
            return not_found(text)
        if wanted in found:
            return found[wanted]
        return refusal(absent[wanted], text) or not_found(text)

    return {text: outcome(text, wanted) for text, wanted in ids.items()}


def _access(call: Call) -> Callable[[Resource, str], DssError | None]:
    """Return the function that says why the caller may not read something with an id, or None.

    It is Hidden if the thing must seem not to be there. One decision counts for all things with the same
    readers, since the caller is the same.
    """
    decided: dict[tuple[object, ...], DssError | None] = {}

    def refusal(what: Resource, text: str) -> DssError | None:
        try:
            return None if call.sees(what) else hidden(text)
        except DssError as error:
            return error

    def remembered(what: Resource, text: str) -> DssError | None:
        key = (what.readers, what.owner, what.owner_group, what.purged)
        if key not in decided:
            decided[key] = refusal(what, text)
        return decided[key]

    return remembered


def not_found(text: str) -> NotFound:
    """Return the error for an id under which the caller finds nothing."""
    return NotFound(_absent(text))


def hidden(text: str) -> Hidden:
    """Return the same for an id under which there is something that the caller must not know of."""
    return Hidden(_absent(text))


def _absent(text: str) -> str:
    return f"{text[:120]!r}: there is no object with this id"
