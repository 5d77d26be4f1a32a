"""Resources of objects and buckets: which properties are stored, settable and shown in JSON."""

import base64
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from gcs_server.datafiles import ContentFile
from gcs_server.errors import BadRequest, Unsupported

Json = dict[str, Any]

_TEXTS = ("contentType", "contentEncoding", "contentDisposition", "contentLanguage", "cacheControl")
EDITABLE = frozenset({*_TEXTS, "metadata", "customTime", "storageClass"})
_CHECKSUMS = ("md5Hash", "crc32c")
# Clients send these back; they are ignored, as by the real service.
_OUTPUT_ONLY = frozenset(
    [
        "bucket",
        "componentCount",
        "etag",
        "generation",
        "id",
        "kind",
        "mediaLink",
        "metageneration",
        "name",
        "selfLink",
        "size",
        "timeCreated",
        "timeFinalized",
        "timeStorageClassUpdated",
        "updated",
    ]
)
_BUCKET_STORED = frozenset(
    ["cors", "iamConfiguration", "labels", "lifecycle", "location", "softDeletePolicy", "storageClass"]
)
# Texts in lists, and a number of seconds.
_CORS_LISTS = frozenset({"origin", "method", "responseHeader"})
_CORS_SECONDS = "maxAgeSeconds"
_BUCKET_OUTPUT_ONLY = frozenset(
    [
        "etag",
        "id",
        "kind",
        "locationType",
        "metageneration",
        "name",
        "projectNumber",
        "selfLink",
        "timeCreated",
        "updated",
    ]
)
_STORAGE_CLASSES = frozenset(
    [
        "STANDARD",
        "NEARLINE",
        "COLDLINE",
        "ARCHIVE",
        "MULTI_REGIONAL",
        "REGIONAL",
        "DURABLE_REDUCED_AVAILABILITY",
    ]
)
_MULTI_REGIONS = {"US", "EU", "ASIA"}
# https://cloud.google.com/storage/quotas#objects: 8 KiB of custom metadata an object.
_METADATA_LIMIT = 8 * 1024


def timestamp(moment: datetime | None = None) -> str:
    """Format a time, or now, like Google Cloud Storage: UTC, in milliseconds."""
    moment = moment or datetime.now(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def etag(generation: int, metageneration: int) -> str:
    """Return a tag that changes with every change of content or metadata."""
    return base64.b64encode(f"{generation}/{metageneration}".encode()).decode()


@dataclass(frozen=True)
class Bucket:
    """A bucket; `attributes` are the properties that are stored."""

    name: str
    project: str
    attributes: Json

    @property
    def denies(self) -> str | None:
        """The denied actions of the bucket: `read`, `write` or `all`; None for none."""
        denied: str | None = self.attributes.get("labels", {}).get("dss-local-deny")
        return denied

    def same_place(self, other: "Bucket", storage_class: str, other_class: str) -> bool:
        """Return whether a copy to `other` needs no move of content."""
        return self.attributes["location"] == other.attributes["location"] and storage_class == other_class

    def resource(self, address: str) -> Json:
        """Return the JSON API's form."""
        return {
            "kind": "storage#bucket",
            "id": self.name,
            "name": self.name,
            "selfLink": f"{address}/storage/v1/b/{self.name}",
            "projectNumber": "0",
            "metageneration": "1",
            "etag": etag(0, 1),
            **self.attributes,
        }


COLUMNS = "bucket, name, generation, metageneration, file, size, attributes"


@dataclass(frozen=True)
class ObjectRecord:
    """One generation of an object; `attributes` are the properties that are stored as JSON."""

    bucket: str
    name: str
    generation: int
    metageneration: int
    file: str
    size: int
    attributes: Json

    @classmethod
    def from_row(cls, row: tuple[Any, ...]) -> "ObjectRecord":
        """Make a record from a row of COLUMNS."""
        bucket, name, generation, metageneration, file, size, attributes = row
        return cls(bucket, name, generation, metageneration, file, size, json.loads(attributes))

    def changed(self, attributes: Json) -> "ObjectRecord":
        """Return the next metageneration, with other attributes."""
        attributes = {**attributes, "updated": timestamp()}
        return replace(self, metageneration=self.metageneration + 1, attributes=attributes)

    def content(self, file: str) -> ContentFile:
        """Describe `file`, which has to hold this object's content."""
        values = self.attributes
        return ContentFile(
            file, self.size, values["crc32c"], values.get("md5Hash"), values.get("componentCount")
        )

    def editable(self) -> Json:
        """Return the attributes that a copy inherits."""
        return {
            name: self.attributes[name] for name in EDITABLE - {"storageClass"} if name in self.attributes
        }

    def resource(self, address: str) -> Json:
        """Return the JSON API's form."""
        path = f"/storage/v1/b/{self.bucket}/o/{quote(self.name, safe='~')}"
        return {
            "kind": "storage#object",
            "id": f"{self.bucket}/{self.name}/{self.generation}",
            "selfLink": address + path,
            "mediaLink": f"{address}/download{path}?generation={self.generation}&alt=media",
            "name": self.name,
            "bucket": self.bucket,
            "generation": str(self.generation),
            "metageneration": str(self.metageneration),
            "size": str(self.size),
            "etag": etag(self.generation, self.metageneration),
            **self.attributes,
        }


def content_attributes(content: ContentFile) -> Json:
    """Return the attributes of an object that describe its content."""
    known = {"crc32c": content.crc32c, "md5Hash": content.md5, "componentCount": content.components}
    return {name: value for name, value in known.items() if value is not None}


def split_object(resource: Json) -> tuple[Json, dict[str, str]]:
    """Split a resource into settings and expected checksums.

    Raises BadRequest for a value of the wrong kind, Unsupported for an unknown property.
    """
    settings: Json = {}
    for name, value in resource.items():
        if name in EDITABLE:
            _check_object_value(name, value)
            settings[name] = value
        elif name not in _OUTPUT_ONLY and name not in _CHECKSUMS:
            raise Unsupported(f"object property not served: {name}")
    return settings, {name: resource[name] for name in _CHECKSUMS if resource.get(name)}


def _check_object_value(name: str, value: object) -> None:
    if value is None:
        return
    if name == "metadata":
        _check_metadata(value)
    elif not isinstance(value, str):
        raise BadRequest(f"Invalid value for {name}: {value!r}")
    elif name == "storageClass":
        check_storage_class(value)
    elif name == "customTime":
        _moment(value)


def _check_metadata(value: object) -> None:
    if not isinstance(value, dict):
        raise BadRequest("Invalid value for metadata: not an object")
    for key, text in value.items():
        if not isinstance(text, str | None):
            raise BadRequest(f"Invalid value for metadata '{key}': not a string")
    if sum(len(key.encode()) + len((text or "").encode()) for key, text in value.items()) > _METADATA_LIMIT:
        raise BadRequest("Custom metadata may not pass 8 KiB.")


def check_storage_class(value: str) -> None:
    """Raise BadRequest unless this is a class of Google Cloud Storage."""
    if value not in _STORAGE_CLASSES:
        raise BadRequest(f"Invalid storage class: {value}")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadRequest(f"Invalid value for customTime: '{text}'") from error
    if moment.tzinfo is None:
        raise BadRequest(f"Invalid value for customTime: '{text}'")
    return moment


def merged(attributes: Json, changes: Json, *, whole: bool) -> Json:
    """Return the attributes after a patch, or, if `whole`, after an update, which unsets all others.

    Raises BadRequest for a change that Google Cloud Storage doesn't allow.
    """
    if changes.get("storageClass", attributes["storageClass"]) != attributes["storageClass"]:
        raise BadRequest("The storage class of an existing object is changed by a rewrite.")
    unset = EDITABLE - set(changes) - {"storageClass"} if whole else set()
    result = {name: value for name, value in attributes.items() if name not in unset}
    for name, value in changes.items():
        if name == "metadata" and value is not None:
            base = {} if whole else attributes.get("metadata", {})
            value = {key: text for key, text in {**base, **value}.items() if text is not None}
        result[name] = value
    _check_custom_time(attributes.get("customTime"), result.get("customTime"))
    return {name: value for name, value in result.items() if value not in (None, {})}


def _check_custom_time(before: str | None, after: str | None) -> None:
    if before is not None and (after is None or _moment(after) < _moment(before)):
        raise BadRequest("Custom time cannot be removed or set to an earlier time.")


def _check_cors(rules: object) -> None:
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        raise BadRequest("Invalid value for cors: not a list of objects")
    for name, value in (item for rule in rules for item in rule.items()):
        if name not in _CORS_LISTS | {_CORS_SECONDS}:
            raise Unsupported(f"property of a CORS rule not served: {name}")
        if name == _CORS_SECONDS:
            valid = isinstance(value, int)
        else:
            valid = isinstance(value, list) and all(isinstance(text, str) for text in value)
        if not valid:
            raise BadRequest(f"Invalid value for cors.{name}: {value!r}")


def new_bucket_attributes(resource: Json) -> Json:
    """Return the attributes of a new bucket.

    Raises BadRequest for a bad storage class or CORS rule, Unsupported for an unknown property.
    """
    settings: Json = {}
    _check_cors(resource.get("cors") or [])
    for name, value in resource.items():
        if name in _BUCKET_STORED:
            settings[name] = value
        elif name == "versioning" and not (value or {}).get("enabled"):
            settings[name] = {"enabled": False}
        elif name not in _BUCKET_OUTPUT_ONLY:
            raise Unsupported(f"bucket property not served: {name}")
    location = str(settings.get("location") or "US").upper()
    storage_class = settings.get("storageClass") or "STANDARD"
    check_storage_class(storage_class)
    now = timestamp()
    fixed = {
        "location": location,
        "locationType": "multi-region" if location in _MULTI_REGIONS else "region",
        "storageClass": storage_class,
        "timeCreated": now,
        "updated": now,
    }
    return {**settings, **fixed}
