"""The dates of HCA entities, and of bundles."""

from collections.abc import Iterable
from datetime import datetime

from shared.explore.bundle_metadata import Json, UnusableMetadata
from shared.explore.dates import in_utc
from shared.explore.hca.documents import Entity
from shared.identifiers import Fqid, moment_of

_OWN = ("submission_date", "update_date", "last_modified_date")


def entity_dates(entity: Entity, others: Iterable[Entity] = ()) -> dict[str, Json]:
    """Return when an entity was submitted and changed, in UTC with microseconds.

    The fields `aggregate_…` are the earliest and latest of `others`, null if there are none.
    """
    dates: dict[str, Json] = {"document_id": entity.id}
    dates.update(zip(_OWN, _own_dates(entity), strict=True))
    return dates | _aggregate(others)


def bundle_dates(fqid: Fqid, others: Iterable[Entity]) -> dict[str, Json]:
    """Return the dates of a bundle: its version, and the earliest and latest of its entities."""
    version = in_utc(moment_of(fqid.version))
    return {"document_id": fqid.uuid} | dict.fromkeys(_OWN, version) | _aggregate(others)


def _aggregate(entities: Iterable[Entity]) -> dict[str, Json]:
    submitted, updated, modified = [], [], []
    for entity in entities:
        submission, update, last = _own_dates(entity)
        submitted.append(submission)
        updated.append(update)
        modified.append(last)
    return {
        "aggregate_submission_date": min(filter(None, submitted), default=None),
        "aggregate_update_date": max(filter(None, updated), default=None),
        "aggregate_last_modified_date": max(filter(None, modified), default=None),
    }


def _own_dates(entity: Entity) -> tuple[str | None, str | None, str | None]:
    submission = _date(entity, "submission_date", "submissionDate")
    update = _date(entity, "update_date", "updateDate")
    return submission, update, max(filter(None, (submission, update)), default=None)


def _date(entity: Entity, *names: str) -> str | None:
    text = entity.provenance.text(*names)
    if text is None:
        return None
    try:
        return in_utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        place = entity.provenance.at(names[0])
        raise UnusableMetadata(entity.provenance.file, place, f"is no date: {text[:100]!r}") from None
