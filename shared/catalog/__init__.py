"""The catalog: metadata in Firestore, by which reads are answered and conflicts decided.

Only here is Firestore known. One document per file version, bundle version and tombstone; the files of a
bundle are in pages under its document.
"""

from shared.catalog.bundles import BundleCatalog, BundleHead, PagedFile
from shared.catalog.database import Database
from shared.catalog.files import FileCatalog, FileRecord
from shared.catalog.tombstones import BundleTombstone, TombstoneCatalog

__all__ = [
    "BundleCatalog",
    "BundleHead",
    "BundleTombstone",
    "Catalog",
    "Database",
    "FileCatalog",
    "FileRecord",
    "PagedFile",
    "TombstoneCatalog",
]


class Catalog:
    """All parts of the catalog, over one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.files = FileCatalog(database)
        self.bundles = BundleCatalog(database)
        self.tombstones = TombstoneCatalog(database)
