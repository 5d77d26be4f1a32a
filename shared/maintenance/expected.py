"""What an object in a replica's bucket has to be, and whether what a store says of it agrees."""

from dataclasses import dataclass

from shared.catalog import Journal
from shared.checksums import Checksums
from shared.copying.blobs import check_proof
from shared.errors import InvalidChecksum
from shared.events.journal import contradiction
from shared.stores.base import StoredObject


@dataclass(frozen=True, kw_only=True)
class ExpectedBlob:
    """A blob that at least one file version names; `available` are the replicas on which one of these is."""

    key: str
    available: frozenset[str]
    size: int
    checksums: Checksums
    broken: str = ""

    def contradiction(self, found: StoredObject) -> str:
        """Return what the store says that contradicts this; empty where nothing does."""
        if found.size != self.size:
            return f"size: {self.size} bytes are expected, the store has {found.size}"
        try:
            found.check(self.checksums)
        except InvalidChecksum as error:
            return error.title
        return ""

    def doubt(self, found: StoredObject) -> str:
        """Return why what the store says does not prove the object; empty where it does."""
        try:
            check_proof(found, self.size, self.checksums)
        except InvalidChecksum as error:
            return error.title
        return ""


@dataclass(frozen=True, kw_only=True)
class ExpectedDocument:
    """A manifest or tombstone. `broken` says why the catalog itself is not to be believed about it.

    One that is `early` may be there before the catalog says so, for longer than a moment.
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
        """Return what the store says that contradicts this; empty where nothing does."""
        if self.md5 and found.size != self.size:
            return f"size: {self.size} bytes are expected, the store has {found.size}"
        for name in ("md5", "crc32c"):
            expected, said = getattr(self, name), getattr(found, name)
            if expected and said and expected != said:
                return f"{name}: {expected!r} is expected, the store says {said!r}"
        return ""

    def doubt(self, found: StoredObject) -> str:
        """Return why what the store says does not prove the object; empty where it does."""
        if self.md5 and (found.md5 or found.crc32c):
            return ""
        return "there is no checksum to compare"


@dataclass(frozen=True, kw_only=True)
class ExpectedJournal:
    """A journal; some stores know no checksum of what was joined from others, and then its size has to do."""

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
        """Return what the store says that contradicts this; empty where nothing does."""
        return contradiction(self.journal, found)

    def doubt(self, found: StoredObject) -> str:
        """Return nothing: it was put together of documents, which are looked at by themselves."""
        return ""


Expected = ExpectedBlob | ExpectedDocument | ExpectedJournal
