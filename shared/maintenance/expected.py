"""Expectations: what an object in a bucket should be, and whether the store agrees."""

from dataclasses import dataclass

from shared.catalog import Journal
from shared.checksums import Checksums
from shared.copying.blobs import check_proof
from shared.errors import InvalidChecksum
from shared.events.journal import contradiction
from shared.stores.base import StoredObject


@dataclass(frozen=True, kw_only=True)
class ExpectedBlob:
    """A blob that file versions name; `available` are the replicas that have one of these versions."""

    key: str
    available: frozenset[str]
    size: int
    checksums: Checksums
    broken: str = ""

    def contradiction(self, found: StoredObject) -> str:
        """Return how the store contradicts this; empty if it does not."""
        if found.size != self.size:
            return f"size: {self.size} bytes are expected, the store has {found.size}"
        try:
            found.check(self.checksums)
        except InvalidChecksum as error:
            return error.title
        return ""

    def doubt(self, found: StoredObject) -> str:
        """Return why the store does not prove the object; empty if it does."""
        try:
            check_proof(found, self.size, self.checksums)
        except InvalidChecksum as error:
            return error.title
        return ""


@dataclass(frozen=True, kw_only=True)
class ExpectedDocument:
    """A manifest, tombstone or document. `broken` says why the catalog contradicts itself about it.

    An `early` object may exist long before the catalog says so.
    """

    key: str
    available: frozenset[str]
    size: int
    sha256: str
    md5: str = ""
    crc32c: str = ""
    broken: str = ""
    early: bool = False

    def contradiction(self, found: StoredObject) -> str:
        """Return how the store contradicts this; empty if it does not."""
        if self.md5 and found.size != self.size:
            return f"size: {self.size} bytes are expected, the store has {found.size}"
        for name in ("md5", "crc32c"):
            expected, said = getattr(self, name), getattr(found, name)
            if expected and said and expected != said:
                return f"{name}: {expected!r} is expected, the store says {said!r}"
        return ""

    def doubt(self, found: StoredObject) -> str:
        """Return why the store does not prove the object; empty if it does."""
        if self.md5 and (found.md5 or found.crc32c):
            return ""
        return "there is no checksum to compare"


@dataclass(frozen=True, kw_only=True)
class ExpectedJournal:
    """A journal. Some stores have no checksum of an object joined from others; then only its size counts."""

    journal: Journal
    broken: str = ""

    @property
    def key(self) -> str:
        """The key of its object."""
        return self.journal.key

    @property
    def available(self) -> frozenset[str]:
        """The replica whose journal it is."""
        return frozenset((self.journal.replica,))

    def contradiction(self, found: StoredObject) -> str:
        """Return how the store contradicts this; empty if it does not."""
        return contradiction(self.journal, found)

    def doubt(self, found: StoredObject) -> str:
        """Return an empty text: a journal is joined from documents, which are checked by themselves."""
        return ""


Expected = ExpectedBlob | ExpectedDocument | ExpectedJournal
