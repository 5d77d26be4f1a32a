"""The files that a manifest names: checked, and with the path to which each goes."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from dss.api.session import Session
from dss.errors import InvalidInput
from dss.explore.entities import Entities
from dss.identifiers import check_uuid, check_version
from dss.manifests.rows import (
    BUNDLE_UUID,
    BUNDLE_VERSION,
    DOCUMENT,
    NAME,
    PATH,
    SHA256,
    SIZE,
    UUID,
    VERSION,
    Row,
)
from dss.transfer.placement import leads_elsewhere

# Between the values of a cell, with or without spaces around it, as in the manifests of Azul.
_SEPARATOR = "||"
_HEX = frozenset("0123456789abcdef")
_SHA256_DIGITS = 64
# A petabyte has 16; no object is larger.
_SIZE_DIGITS = 18
# Documents of one question to the catalogue.
_DOCUMENTS = 250


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file of a manifest: where in it, the `name` of the file, and the `path` that it is to have.

    What the manifest does not say is None: of `version` that means the newest one. `sha256` is in lower-case
    hex; `bundle` is UUID and version, each empty if the manifest names none, or several.
    """

    place: str
    path: str
    name: str
    uuid: str
    version: str | None = None
    size: int | None = None
    sha256: str | None = None
    bundle: tuple[str, str] = ("", "")


@dataclass(frozen=True, kw_only=True)
class BadEntry:
    """A place of a manifest of which no file can be made, with the name there, and the reason."""

    place: str
    name: str
    why: str


def entries(session: Session, rows: Iterable[Row], catalog: str | None) -> Iterator[Entry | BadEntry]:
    """Yield what each row names, in order. Raises what reading the rows raises.

    Documents are looked up in a catalogue, many at once: raises NoCatalogue and CallFailed.
    """
    rows = iter(rows)
    while batch := list(islice(rows, _DOCUMENTS)):
        wanted = [row.values[DOCUMENT] for row in batch if DOCUMENT in row.values]
        found = _documents(session, wanted, catalog) if wanted else {}
        yield from (entry_of(row, found) for row in batch)


def _documents(session: Session, ids: list[str], catalog: str | None) -> dict[str, Mapping[str, Any]]:
    """Return what the catalogue says of files, by the ids of their documents."""
    filters = {"entryId": {"is": list(dict.fromkeys(ids))}}
    hits = Entities(session, "files", filters, catalog=catalog, fields=("files", "bundles"))
    return {str(hit["entryId"]): hit for hit in hits}


def entry_of(row: Row, documents: Mapping[str, Mapping[str, Any]] | None = None) -> Entry | BadEntry:
    """Return what a row names; `documents` are the hits of a catalogue for rows that name documents."""
    name = str(row.values.get(NAME) or "")
    try:
        if row.problem:
            raise InvalidInput(row.problem)
        if DOCUMENT in row.values:
            return _entry(row.place, _values_of_hit(row.values[DOCUMENT], documents or {}))
        return _entry(row.place, row.values)
    except InvalidInput as error:
        return BadEntry(place=row.place, name=name, why=str(error))


def _values_of_hit(document: str, documents: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    hit = documents.get(document)
    if hit is None or not hit.get("files"):
        raise InvalidInput(
            f"the catalogue has no file with document {document}, or you may not read it; "
            "--catalog names another catalogue"
        )
    file = hit["files"][0]
    bundles = hit.get("bundles") or [{}]
    newest = max(bundles, key=lambda bundle: str(bundle.get("bundleVersion", "")))
    return {
        UUID: file.get("uuid"),
        VERSION: file.get("version"),
        NAME: file.get("name"),
        SIZE: file.get("size"),
        SHA256: file.get("sha256"),
        BUNDLE_UUID: newest.get("bundleUuid"),
        BUNDLE_VERSION: newest.get("bundleVersion"),
    }


def _entry(place: str, values: Mapping[str, Any]) -> Entry:
    uuid = check_uuid(_text(values.get(UUID)), UUID)
    version = _version(_text(values.get(VERSION)), VERSION)
    name = _text(values.get(NAME))
    path = _text(values.get(PATH))
    bundle = ("", "")
    if not path:
        directory, bundle = _directory(values, uuid, version)
        # Before the two are one path: it would hide where the name leads.
        _check_stays(NAME, name)
        path = f"{directory}/{name}"
    _check_stays("path", path)
    return Entry(
        place=place,
        path=path,
        name=name,
        uuid=uuid,
        version=version,
        size=_size(values.get(SIZE)),
        sha256=_sha256(_text(values.get(SHA256))),
        bundle=bundle,
    )


def _directory(values: Mapping[str, Any], uuid: str, version: str | None) -> tuple[str, tuple[str, str]]:
    """Return the directory of a file, and its bundle: UUID.VERSION of it, or of the file without a bundle.

    A file of several bundles is in the directory of the first: which version belongs to which is not known.
    """
    bundles, versions = _several(values.get(BUNDLE_UUID)), _several(values.get(BUNDLE_VERSION))
    if not bundles:
        return f"{uuid}.{version}" if version else uuid, ("", "")
    first = check_uuid(bundles[0], BUNDLE_UUID)
    if len(bundles) > 1 or len(versions) != 1:
        return first, (first if len(bundles) == 1 else "", "")
    bundle_version = _version(versions[0], BUNDLE_VERSION)
    return f"{first}.{bundle_version}", (first, str(bundle_version))


def _several(value: Any) -> list[str]:
    values = value if isinstance(value, list) else _text(value).split(_SEPARATOR)
    return [text for each in values if (text := _text(each).strip())]


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _version(text: str, name: str) -> str | None:
    # Azul writes versions with the colons of ISO 8601.
    return check_version(text.replace(":", ""), name) if text else None


def _size(value: Any) -> int | None:
    text = _text(value)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _SIZE_DIGITS):
        raise InvalidInput(f"{SIZE}: {text[:80]!r} is not a number of bytes")
    return int(text)


def _sha256(text: str) -> str | None:
    lowered = text.lower()
    if lowered and (len(lowered) != _SHA256_DIGITS or not _HEX.issuperset(lowered)):
        raise InvalidInput(f"{SHA256}: {text[:80]!r} is not a sha256, of {_SHA256_DIGITS} hexadecimal digits")
    return lowered or None


def _check_stays(what: str, name: str) -> None:
    if leads_elsewhere(name):
        raise InvalidInput(f"{what}: {name[:80]!r} leads out of the directory, or is empty")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"{what}: {name[:80]!r} is not valid Unicode") from None
