"""All errors that the system raises on purpose, in one tree.

Callers catch them by meaning; `code` is the code of the v1 contract in HTTP answers::

    DssError
    ├── IllegalArguments            the request breaks the contract
    │   ├── IllegalVersion
    │   ├── IllegalToken
    │   ├── BadRequest              the request contradicts itself
    │   ├── UnknownSourceSchema
    │   ├── DuplicateFilename
    │   ├── FileMissing
    │   ├── OnlyOneUrlType
    │   ├── IndexQueryRefused       a query that is malformed, or that the index does not support
    │   ├── InvalidQueryType
    │   ├── InvalidJmespath
    │   ├── InvalidAttachmentName
    │   ├── InvalidAttachmentExpression
    │   ├── ElasticsearchError
    │   ├── UnsupportedMediaType
    │   └── RequestTooLarge
    ├── Unauthorized                the caller is unknown
    ├── Forbidden                   the caller is known, and is not allowed
    ├── NotFound
    ├── Gone                        removed for good
    ├── NotAcceptable               the caller has reached a limit
    ├── Conflict                    the name has other content, for ever
    │   ├── FileAlreadyExists
    │   ├── BundleAlreadyExists
    │   ├── CollectionAlreadyExists
    │   ├── CollectionTombstoneAlreadyExists
    │   ├── BundleTombstoneAlreadyExists
    │   └── AlreadyOwned            a UUID has another owner, or versions and none
    ├── TooManyRequests             the caller has used up its request budget
    ├── PreconditionFailed          the newest version is not the one that `If-Match` names
    ├── Unprocessable               well-formed, but contradicted by the facts
    │   ├── MissingChecksum
    │   ├── InvalidChecksum
    │   ├── InvalidLink
    │   └── CopyFailed              a large copy failed; with the code of its cause
    ├── MailRefused                 the mail server refuses this address
    ├── CheckoutFailed              a checkout ended without success
    ├── ManifestFailed              a manifest of a catalogue could not be made
    ├── CatalogBroken               the catalog lacks part of a bundle or collection
    ├── NotProven                   a repair does not know what is right; never leaves the repairs
    ├── NotYetImplemented
    ├── Unavailable                 try again after `retry_after` seconds
    │   ├── ReadOnly
    │   ├── TooManyUnderWay         the limit of concurrent jobs is reached
    │   ├── TooManyLookups          too many unknown tokens; their issuer was not asked about this one
    │   ├── NoRoom                  other requests of the process hold the memory that this one needs
    │   └── NotYetThere             something that this needs is still being replicated
    └── StoreError                  an object store refused; raised by `shared.stores` only
        ├── ObjectNotFound
        ├── ObjectExists
        ├── ObjectChanged
        ├── AccessDenied
        └── CopyTakesLonger
"""


class DssError(Exception):
    """An error with a `code` of the contract and a `title` for people."""

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
    """A `token` is not one that this system made for this request."""

    code = "illegal_token"


class BadRequest(IllegalArguments):
    """The request contradicts itself: a time range ends before it begins."""

    code = "bad_request"


class UnknownSourceSchema(IllegalArguments):
    """The scheme of a source URL is not that of a store of this system."""

    code = "unknown_source_schema"


class DuplicateFilename(IllegalArguments):
    """Two files of a bundle have the same name, or one name is a directory of the other."""

    code = "duplicate_filename"


class FileMissing(IllegalArguments):
    """A bundle names files that do not exist on its replica."""

    code = "file_missing"


class OnlyOneUrlType(IllegalArguments):
    """One request asks for both kinds of URL."""

    code = "only_one_urltype"


class IndexQueryRefused(IllegalArguments):
    """A query is malformed, or uses an unsupported part of the DSL; the title names the clause."""

    code = "elasticsearch_bad_request"


class InvalidQueryType(IllegalArguments):
    """A subscription has queries in two languages."""

    code = "invalid_query_type"


class InvalidJmespath(IllegalArguments):
    """A subscription's query is not JMESPath."""

    code = "invalid_jmespath"


class InvalidAttachmentName(IllegalArguments):
    """An attachment has a name that is not allowed."""

    code = "invalid_attachment_name"


class InvalidAttachmentExpression(IllegalArguments):
    """An attachment's expression is not JMESPath."""

    code = "invalid_attachment_expression"


class ElasticsearchError(IllegalArguments):
    """A subscription's Elasticsearch query is malformed or not supported."""

    code = "elasticsearch_error"


class UnsupportedMediaType(IllegalArguments):
    """The body of a request is of a type that the operation does not read."""


class RequestTooLarge(IllegalArguments):
    """The body of a request exceeds the limit."""


class Unauthorized(DssError):
    """The request has no token, or one that is not valid."""

    code = "Unauthorized"


class Forbidden(DssError):
    """The caller is known, but is not allowed to do this."""

    code = "Forbidden"


class NotFound(DssError):
    """The object does not exist on this replica, or is hidden.

    `replica_state` is `pending` if another replica has it, so that this one will have it too, else `absent`.
    """

    code = "not_found"

    def __init__(self, title: str, *, replica_state: str = "absent") -> None:
        super().__init__(title)
        self.replica_state = replica_state


class Gone(DssError):
    """Something was removed for good; the title says why."""

    code = "gone"


class NotAcceptable(DssError):
    """The caller has reached the limit of these."""

    code = "not_acceptable"


class TooManyRequests(DssError):
    """The caller has used up its request budget, and may try again after `retry_after` seconds.

    `refused` is how many of its requests are to be reported with this one; 0 if they are reported later.
    """

    code = "too_many_requests"

    def __init__(self, title: str, *, retry_after: int = 1, refused: int = 1) -> None:
        super().__init__(title)
        self.retry_after = retry_after
        self.refused = refused


class Conflict(DssError):
    """The name already has other content, and content never changes."""

    code = "conflict"


class FileAlreadyExists(Conflict):
    """This file version exists with other content."""

    code = "file_already_exists"


class BundleAlreadyExists(Conflict):
    """This bundle version exists with other content."""

    code = "bundle_already_exists"


class CollectionAlreadyExists(Conflict):
    """This collection version exists with other content, or another user owns the UUID."""

    code = "collection_already_exists"


class CollectionTombstoneAlreadyExists(Conflict):
    """Another user has deleted this collection already."""

    code = "collection_tombstone_already_exists"


class BundleTombstoneAlreadyExists(Conflict):
    """This bundle has been deleted already, by another user or for another reason."""

    code = "bundle_tombstone_already_exists"


class AlreadyOwned(Conflict):
    """A group can't claim this UUID: another one owns it, or it has versions and no owner."""

    code = "already_owned"


class PreconditionFailed(DssError):
    """The newest version is not, or is about not to be, the one that the caller wants to replace."""

    code = "precondition_failed"


class Unprocessable(DssError):
    """The request is well-formed, but the facts contradict it."""

    code = "unprocessable"


class MissingChecksum(Unprocessable):
    """A source object lacks one of the four checksums in its metadata."""

    code = "missing_checksum"


class InvalidChecksum(Unprocessable):
    """A checksum is malformed, or the object has another one."""

    code = "invalid_checksum"


class InvalidLink(Unprocessable):
    """A collection links to something that does not exist or is hidden."""

    code = "invalid_link"


class CopyFailed(Unprocessable):
    """A large copy that was requested earlier has failed; `code` is that of its cause."""

    def __init__(self, code: str, title: str) -> None:
        super().__init__(title)
        self.code = code


class MailRefused(DssError):
    """The mail server refuses an address permanently."""


class CheckoutFailed(DssError):
    """A checkout failed; the title says why."""

    code = "checkout_error"


class ManifestFailed(DssError):
    """A manifest of a catalogue's files could not be made; the title says why."""

    code = "manifest_error"


class CatalogBroken(DssError):
    """The catalog lacks part of a bundle or collection; an audit finds it, and a repair writes it again.

    Not Unavailable: a retry a moment later does not help.
    """

    code = "service_unavailable"
    retry_after = 600


class NotProven(DssError):
    """It is not clear what is right, so nothing was done; the title says what is missing. Of repairs only."""


class NotYetImplemented(DssError):
    """The contract has this, but the system does not implement it yet."""

    code = "not_implemented"


class Unavailable(DssError):
    """Not possible now; try again after `retry_after` seconds."""

    code = "service_unavailable"
    retry_after = 10


class NoRoom(Unavailable):
    """Other requests of this process hold the memory that this one needs; nothing of it was begun."""


class ReadOnly(Unavailable):
    """The system is read-only at present."""

    code = "read_only"
    retry_after = 600


class Stopped(Unavailable):
    """An operator has stopped work in the background; it goes on later."""

    code = "stopped"


class Outdated(Stopped):
    """The catalog was migrated for a newer release than that of this process, which so writes nothing."""

    code = "outdated"


class TooManyUnderWay(Unavailable):
    """The system has reached its limit of concurrent jobs of this type."""

    retry_after = 60


class TooManyLookups(Unavailable):
    """Too many tokens are being looked up, or prove nobody, so that nobody was asked about this one."""


class MadeOtherwise(Unavailable):
    """A catalogue was made by another configuration than it has now, and is not written."""

    retry_after = 600


class NotYetThere(Unavailable):
    """Something that this needs is not on the replica yet; the sweep tries again."""


class StoreError(DssError):
    """An object store refused a request; the title names the object."""


class ObjectNotFound(StoreError):
    """The object or the bucket does not exist."""

    code = "not_found"


class ObjectExists(StoreError):
    """An object that was to be created exists already."""


class ObjectChanged(StoreError):
    """A source object was replaced or deleted while it was being copied."""

    code = "source_changed"


class AccessDenied(StoreError):
    """The store denies this system access."""

    code = "Forbidden"


class CopyTakesLonger(StoreError):
    """A copy takes longer than one request; the copy workflow has to do it."""
