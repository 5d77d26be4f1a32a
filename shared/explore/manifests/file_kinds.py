"""Which types the values in documents of files have."""

from collections.abc import Mapping

from shared.explore.fields import FieldType
from shared.explore.manifests.kinds import DOUBLE, FLAG, LONG, TEXT, Kind, Listed, Record, or_null
from shared.explore.plugins import Plugin

FILES = "files"
# Of each document, and no inner entities.
_NO_LISTS = ("bundles", "sources")
_KINDS: Mapping[FieldType, Kind] = {FieldType.NUMBER: or_null(DOUBLE), FieldType.FLAG: FLAG}


def kind_of(field_type: FieldType) -> Kind:
    """Return the kind of one value of a field."""
    return _KINDS.get(field_type, TEXT)


def kinds_of(plugin: Plugin) -> Mapping[str, Kind]:
    """Return the kind of each list of a catalogue's files, as its plug-in declares it in `manifest_kinds`.

    For another plug-in they follow from its fields.
    """
    declared: Mapping[str, Kind] | None = getattr(plugin, "manifest_kinds", None)
    if declared is not None:
        return declared
    lists: dict[str, dict[str, Kind]] = {FILES: {"document_id": TEXT, "size": LONG}}
    for each in plugin.fields:
        if len(each.path) == 2 and each.path[0] not in _NO_LISTS:
            listed, key = each.path
            lists.setdefault(listed, {}).setdefault(key, _one_or_many(kind_of(each.type)))
    return {listed: Record(fields) for listed, fields in lists.items()}


def _one_or_many(kind: Kind) -> Kind:
    """Return the kind of a field that has one value in some documents, and a list of them in others."""
    return or_null(Listed(kind), kind)
