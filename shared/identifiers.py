"""Versions, FQIDs and object keys: make them and parse them.

A version is a UTC time as `YYYY-MM-DDTHHMMSS.ffffffZ`, so that texts sort in order of time. An FQID is
`uuid.version`. All replicas' buckets hold the same keys, and a key says what its object is about.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid5

from shared.errors import IllegalArguments, IllegalVersion

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_VERSION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{6}\.[0-9]{6}Z")

# GCS and S3: an object's name is at most 1,024 bytes; a checkout puts `bundles/{fqid}/` (73 bytes) in front.
MAX_FILE_NAME_BYTES = 900
# Most file systems, ext4, APFS and NTFS among them: no name of a file or directory is longer.
MAX_STEP_BYTES = 255
_NOT_IN_A_NAME = re.compile(r"[\\\x00-\x1f\x7f]")
# Halves of surrogate pairs: no text in UTF-8 has them.
SURROGATE = re.compile("[\ud800-\udfff]")

# The prefix of the keys of manifests of catalogues, in the primary replica's bucket alone.
CATALOGUE_MANIFESTS = "manifests/"
# The prefix of the keys of saved subscriptions.
SAVED_SUBSCRIPTIONS = "subscriptions/"

# The types of events, and of the documents about them.
EVENT_TYPES = ("CREATE", "TOMBSTONE")

# The namespaces of event ids, and of the UUIDs of groups. They must never change.
_EVENTS = UUID("1b0e0e54-6f0c-5a0e-9a5c-6d1f0a3b7c52")
_GROUPS = UUID("5c0a4b86-2f31-5e7d-8c19-4b7e6a90d2f3")


def check_uuid(text: str, name: str = "uuid") -> str:
    """Return the UUID in lower case.

    Raises IllegalArguments, naming the parameter `name`, if the text is not a UUID.
    """
    lowered = text.lower()
    if not _UUID.fullmatch(lowered):
        raise IllegalArguments(f"{name}: {text[:80]!r} is not a UUID")
    return lowered


def check_version(text: str, name: str = "version") -> str:
    """Return the version.

    Raises IllegalVersion, naming the parameter `name`, if it has another form or isn't a time of the
    calendar.
    """
    if not _VERSION.fullmatch(text):
        raise IllegalVersion(f"{name}: {text[:80]!r} does not have the form YYYY-MM-DDTHHMMSS.ffffffZ")
    try:
        _parsed(text)
    except ValueError as error:
        raise IllegalVersion(f"{name}: {text!r} is not a time of the calendar") from error
    return text


def _parsed(version: str) -> datetime:
    """Return the moment of a text of the form of a version. Raises ValueError if there is no such time."""
    # Later releases of Python take 24:00 as the next day's midnight.
    if version[11:13] == "24":
        raise ValueError("hour must be in 0..23")
    # In a tenth of the time that strptime takes.
    return datetime.fromisoformat(version)


def version_of(moment: datetime) -> str:
    """Return the version of a moment, which must have a time zone."""
    # strftime pads years to four digits on some platforms only.
    utc = moment.astimezone(UTC)
    return f"{utc.year:04d}-{utc:%m-%dT%H%M%S}.{utc.microsecond:06d}Z"


def moment_of(version: str) -> datetime:
    """Return the moment of a version, in UTC. Raises IllegalVersion if the text is not a version."""
    return _parsed(check_version(version))


def version_after(version: str) -> str:
    """Return the version one microsecond later.

    Raises IllegalVersion if the text is not a version, or the last one that the calendar has.
    """
    try:
        return version_of(moment_of(version) + timedelta(microseconds=1))
    except OverflowError as error:
        raise IllegalVersion(f"version: no version can come after {version}") from error


def check_file_name(name: str, parameter: str = "name") -> str:
    """Return a name that a file may have in a bundle: a relative path that stays in its directory.

    Steps may be empty: `a//b` and `a/` are names. Raises IllegalArguments, naming the parameter, for names
    that are empty, absolute, leave their directory, hold a backslash or control characters, or are longer
    than MAX_FILE_NAME_BYTES in UTF-8, or have a step of more than MAX_STEP_BYTES.
    """
    if not _is_usual(name) and (why := _fault_of(name)):
        raise IllegalArguments(f"{parameter}: {name[:80]!r} {why}")
    return name


def _fault_of(name: str) -> str:
    """Return why a file must not have a name; empty if it may."""
    if not name:
        return "is empty"
    if len(name.encode("utf-8", "surrogatepass")) > MAX_FILE_NAME_BYTES:
        return f"is longer than {MAX_FILE_NAME_BYTES} bytes"
    if _NOT_IN_A_NAME.search(name):
        return "holds a backslash or a control character"
    if SURROGATE.search(name):
        return "is not valid Unicode"
    if name.startswith(("/", "~/")):
        return "is not relative"
    for step in name.split("/"):
        if step in (".", ".."):
            return "has a '.' or '..' step in its path"
        if len(step.encode()) > MAX_STEP_BYTES:
            return f"has a step in its path that is longer than {MAX_STEP_BYTES} bytes: {step[:40]!r}…"
    return ""


def _is_usual(name: str) -> bool:
    """Return whether a name is good at first sight, as nearly all are."""
    return (
        len(name) <= MAX_STEP_BYTES
        and name.isascii()
        and name.isprintable()
        and "\\" not in name
        and name[:1] not in ("", "/", "~", ".")
        and "/." not in name
    )


@dataclass(frozen=True, order=True)
class Fqid:
    """The full name of one version of a file, bundle or collection."""

    uuid: str
    version: str

    def __str__(self) -> str:
        return f"{self.uuid}.{self.version}"

    @classmethod
    def parse(cls, text: str, name: str = "fqid") -> "Fqid":
        """Return the FQID of a text.

        Raises IllegalArguments, naming the parameter `name`, if it isn't one.
        """
        uuid, dot, version = text.partition(".")
        if not dot:
            raise IllegalArguments(f"{name}: {text[:80]!r} is not of the form uuid.version")
        return cls(check_uuid(uuid, name), check_version(version, name))


class Kind(StrEnum):
    """What a manifest or tombstone is about; the value is the folder of such objects."""

    FILE = "files"
    BUNDLE = "bundles"
    COLLECTION = "collections"
    ACCESS = "access"
    GROUP = "groups"
    PURGE = "purges"


@dataclass(frozen=True)
class ObjectName:
    """The name of an object: the manifest of a version, or the tombstone of a version or of a whole UUID."""

    kind: Kind
    uuid: str
    version: str | None
    dead: bool = False

    @property
    def key(self) -> str:
        """The key of the object in each replica's bucket."""
        version = f".{self.version}" if self.version else ""
        return f"{self.kind}/{self.uuid}{version}{'.dead' if self.dead else ''}"

    @property
    def subject(self) -> str:
        """The FQID of the version that the object is about, or the UUID if it is about all versions."""
        return f"{self.uuid}.{self.version}" if self.version else self.uuid

    @property
    def fqid(self) -> Fqid:
        """The version that the object is about. Raises ValueError if it is about a whole UUID."""
        if self.version is None:
            raise ValueError(f"{self.key}: names no version")
        return Fqid(self.uuid, self.version)


def manifest_key(kind: Kind, fqid: Fqid) -> str:
    """Return the key of the manifest of a file, bundle or collection version."""
    return ObjectName(kind, fqid.uuid, fqid.version).key


def tombstone_key(kind: Kind, uuid: str, version: str | None) -> str:
    """Return the key of the tombstone of one version, or of a whole UUID if the version is None."""
    return ObjectName(kind, uuid, version, dead=True).key


def document_key(fqid: Fqid, *, dead: bool) -> str:
    """Return the key of the metadata document of a bundle version or of its tombstone."""
    return f"documents/{fqid}{'.dead' if dead else ''}"


def parse_document_key(key: str) -> ObjectName | None:
    """Return the manifest or tombstone that a metadata document is about; None for any other key."""
    folder, _, name = key.partition("/")
    parsed = parse_key(f"{Kind.BUNDLE}/{name}")
    return parsed if folder == "documents" and parsed and parsed.version else None


def event_id(replica: str, fqid: Fqid, event_type: str) -> str:
    """Return the id of an event, which never changes."""
    return str(uuid5(_EVENTS, f"{replica}/{fqid}/{event_type}"))


def group_uuid(name: str) -> str:
    """Return the UUID of a group of this name, which never changes."""
    return str(uuid5(_GROUPS, name))


def event_ids(replicas: Iterable[str], fqid: Fqid, types: Iterable[str] = EVENT_TYPES) -> list[str]:
    """Return the ids of the events of a bundle version on some replicas, by default of all types."""
    types = list(types)
    return [event_id(replica, fqid, event_type) for replica in replicas for event_type in types]


def publication_key(event: str) -> str:
    """Return the key of the object that says when an event, named by its id, was published."""
    return f"events/{event}"


def journal_key(name: str) -> str:
    """Return the key of a journal of many events."""
    return f"journals/{name}"


def journal_index_key(name: str) -> str:
    """Return the key of the index of a journal: its events."""
    return f"journals/{name}.json"


def parse_key(key: str) -> ObjectName | None:
    """Return the name of a manifest or tombstone from its key; None for any other key, such as a blob's."""
    folder, _, name = key.partition("/")
    dead = name.endswith(".dead")
    uuid, dot, version = name.removesuffix(".dead").partition(".")
    try:
        parsed = ObjectName(
            Kind(folder), check_uuid(uuid), check_version(version) if dot else None, dead=dead
        )
    except (ValueError, IllegalArguments):
        return None
    # The system never writes keys in upper case, nor a UUID alone without `.dead`.
    return parsed if parsed.key == key and (dot or dead) else None
