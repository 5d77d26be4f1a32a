"""Every error that the system raises on purpose, in one tree.

Callers catch by meaning; `code` is the word of the v1 contract, which HTTP answers carry as it stands::

    DssError
    ├── IllegalArguments            the request breaks the contract
    │   ├── IllegalVersion
    │   ├── IllegalToken
    │   ├── BadRequest              what is asked for contradicts itself
    │   ├── UnknownSourceSchema
    │   ├── DuplicateFilename
    │   ├── FileMissing
    │   ├── OnlyOneUrlType
    │   ├── IndexQueryRefused       a query that is not understood, or that its index does not serve
    │   ├── InvalidQueryType
    │   ├── InvalidJmespath
    │   ├── InvalidAttachmentName
    │   ├── InvalidAttachmentExpression
    │   ├── ElasticsearchError
    │   └── RequestTooLarge
    ├── Unauthorized                who asks is not known
    ├── Forbidden                   who asks is known, and may not
    ├── NotFound
    ├── NotAcceptable               who asks has as many already as anybody may have
    ├── Conflict                    a name is taken by other content, for ever
    │   ├── FileAlreadyExists
    │   ├── BundleAlreadyExists
    │   ├── CollectionAlreadyExists
    │   ├── CollectionTombstoneAlreadyExists
    │   └── BundleTombstoneAlreadyExists
    ├── Unprocessable               understood, and contradicted by the facts
    │   ├── MissingChecksum
    │   ├── InvalidChecksum
    │   ├── InvalidLink
    │   └── CopyFailed              with the code of what a large copy failed of
    ├── MailRefused                 nobody gets mail at this address
    ├── CheckoutFailed              a checkout came to its end, and not to a good one
    ├── CatalogBroken               the catalog lacks part of what it says that it has
    ├── NotProven                   it is not clear what is right; never leaves the repairs
    ├── NotYetImplemented
    ├── Unavailable                 try again after `retry_after` seconds
    │   ├── ReadOnly
    │   ├── TooManyUnderWay         as much of this is under way as may be at once
    │   └── NotYetThere             what this rests on is still on its way
    └── StoreError                  an object store said no; raised by `shared.stores` only
        ├── ObjectNotFound
        ├── ObjectExists
        ├── ObjectChanged
        ├── AccessDenied
        └── CopyTakesLonger
"""


class DssError(Exception):
    """An error with a `code` of the contract and a `title` that tells a person what is wrong."""

    code = "unhandled_exception"

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self.title = title


class IllegalArguments(DssError):
    """The request breaks the contract; the title names the parameter."""

    code = "illegal_arguments"


class IllegalVersion(IllegalArguments):
    """A version is not a UTC time of the form `YYYY-MM-DDTHHMMSS.ffffffZ`."""

    code = "illegal_version"


class IllegalToken(IllegalArguments):
    """A `token` was not given out by this system for this request."""

    code = "illegal_token"


class BadRequest(IllegalArguments):
    """What is asked for contradicts itself: a stretch of time that ends before it begins."""

    code = "bad_request"


class UnknownSourceSchema(IllegalArguments):
    """A source URL names no object store that the system has."""

    code = "unknown_source_schema"


class DuplicateFilename(IllegalArguments):
    """Two files of a bundle have one name, or one is a directory of the other."""

    code = "duplicate_filename"


class FileMissing(IllegalArguments):
    """A bundle names files that do not exist on its replica."""

    code = "file_missing"


class OnlyOneUrlType(IllegalArguments):
    """Both kinds of URL were asked for in one request."""

    code = "only_one_urltype"


class IndexQueryRefused(IllegalArguments):
    """A query is not understood, or of a part of the DSL that is not served; the title names the clause."""

    code = "elasticsearch_bad_request"


class InvalidQueryType(IllegalArguments):
    """A subscription has queries in two languages."""

    code = "invalid_query_type"


class InvalidJmespath(IllegalArguments):
    """A subscription's query is not JMESPath."""

    code = "invalid_jmespath"


class InvalidAttachmentName(IllegalArguments):
    """An attachment has a name that is not given to attachments."""

    code = "invalid_attachment_name"


class InvalidAttachmentExpression(IllegalArguments):
    """An attachment's expression is not JMESPath."""

    code = "invalid_attachment_expression"


class ElasticsearchError(IllegalArguments):
    """A subscription's Elasticsearch query is not understood, or not served."""

    code = "elasticsearch_error"


class RequestTooLarge(IllegalArguments):
    """The body of a request is larger than the API takes."""


class Unauthorized(DssError):
    """No token, or one that does not prove who is asking."""

    code = "Unauthorized"


class Forbidden(DssError):
    """The caller is known and may not do this."""

    code = "Forbidden"


class NotFound(DssError):
    """What was asked for does not exist on this replica, or is hidden.

    `replica_state` says `pending` where it exists on another replica and will be on this one, else `absent`.
    """

    code = "not_found"

    def __init__(self, title: str, *, replica_state: str = "absent") -> None:
        super().__init__(title)
        self.replica_state = replica_state


class NotAcceptable(DssError):
    """The caller has as many of these as anybody may have."""

    code = "not_acceptable"


class Conflict(DssError):
    """The name is taken by other content; content never changes once it is named."""


class FileAlreadyExists(Conflict):
    """This file version exists with other content."""

    code = "file_already_exists"


class BundleAlreadyExists(Conflict):
    """This bundle version exists with other content."""

    code = "bundle_already_exists"


class CollectionAlreadyExists(Conflict):
    """This version of a collection exists with other content, or its UUID is somebody else's."""

    code = "collection_already_exists"


class CollectionTombstoneAlreadyExists(Conflict):
    """This collection was deleted before, by somebody else."""

    code = "collection_tombstone_already_exists"


class BundleTombstoneAlreadyExists(Conflict):
    """This bundle was deleted before, by somebody else or for another reason."""

    code = "bundle_tombstone_already_exists"


class Unprocessable(DssError):
    """The request is well-formed and the facts contradict it."""

    code = "unprocessable"


class MissingChecksum(Unprocessable):
    """A source object lacks one of the four checksums in its metadata."""

    code = "missing_checksum"


class InvalidChecksum(Unprocessable):
    """A checksum is malformed, or the cloud knows that the object has another one."""

    code = "invalid_checksum"


class InvalidLink(Unprocessable):
    """A collection links to what does not exist, or is hidden."""

    code = "invalid_link"


class CopyFailed(Unprocessable):
    """A large copy, asked for earlier, has failed; `code` is that of its cause."""

    def __init__(self, code: str, title: str) -> None:
        super().__init__(title)
        self.code = code


class MailRefused(DssError):
    """A mail server refuses an address, and will again."""


class CheckoutFailed(DssError):
    """A checkout cannot be done; the title says why."""

    code = "checkout_error"


class CatalogBroken(DssError):
    """The catalog lacks part of a bundle or collection; an audit finds it, and a repair writes it again.

    Not Unavailable: to ask again a moment later is of no use.
    """

    code = "service_unavailable"
    retry_after = 600


class NotProven(DssError):
    """It is not clear what is right, so nothing was done; the title says what is missing. Of repairs only."""


class NotYetImplemented(DssError):
    """The contract names this; the system does not do it yet."""

    code = "not_implemented"


class Unavailable(DssError):
    """Cannot be done now; worth trying again after `retry_after` seconds."""

    code = "service_unavailable"
    retry_after = 10


class ReadOnly(Unavailable):
    """The system takes no writes at present."""

    code = "read_only"
    retry_after = 600


class TooManyUnderWay(Unavailable):
    """As much of this is under way as may be at once, whoever asked for it."""

    retry_after = 60


class NotYetThere(Unavailable):
    """What this rests on is not on the replica yet; it will be, or the sweep will ask again."""


class StoreError(DssError):
    """An object store refused; the title names the object."""


class ObjectNotFound(StoreError):
    """There is no such object, or no such bucket."""

    code = "not_found"


class ObjectExists(StoreError):
    """An object was to be created and is there already."""


class ObjectChanged(StoreError):
    """A source object was replaced or deleted while it was being copied."""

    code = "source_changed"


class AccessDenied(StoreError):
    """The store does not let this system do that."""

    code = "Forbidden"


class CopyTakesLonger(StoreError):
    """A copy cannot be finished within one request: it is one for the copy workflow."""
