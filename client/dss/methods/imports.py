"""What a client can have imported: objects that are in a cloud already."""

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dss.api import imports
from dss.api.imports import Import
from dss.api.session import Session
from dss.checksums import ChecksumCalculator
from dss.errors import InvalidInput
from dss.transfer.staging import Staging, staging_for

_MIB = 1024 * 1024
_TYPE = "text/tab-separated-values"


class ImportMethods(Session):
    """Imports of folders of buckets, and of objects that a table names."""

    def plan_import(
        self,
        source: str | None = None,
        *,
        table: str | Path | None = None,
        depth: int = 1,
        metadata: Sequence[str] = ("*.json",),
        owner_group: str | None = None,
        creator_uid: int = 0,
        whole: bool = False,
        staging: str | None = None,
        import_id: str | None = None,
    ) -> Import:
        """Have the DSS list what importing a folder, `gs://bucket/folder`, or a table would do::

            found = client.plan_import("gs://lab/run-7").wait()
            print(found.details["listed"], found.details["cost"])

        Nothing is imported before `start()` is called. The first `depth` folders below the source name a
        bundle. A `table` is a file, which is put into the `staging` bucket, or the URL of an object, with the
        columns `source_url`, `bundle` and `name`. `metadata` are patterns of the names of files that are
        indexed; with `whole`, a bundle of which a file does not go in is left out. Raises InvalidInput,
        StagingFailed, and CallFailed if the DSS refuses it.
        """
        if (source is None) == (table is None):
            raise InvalidInput("give either a folder to import, or a table")
        order: dict[str, Any] = {
            "depth": depth,
            "metadata": list(metadata),
            "creator_uid": creator_uid,
            "whole": whole,
            **({"owner_group": owner_group} if owner_group else {}),
        }
        if table is None:
            order["source"] = source
        else:
            order |= {"table": self._table_url(table, staging), "replica": self.replica}
        return imports.plan_import(self, import_id or str(uuid.uuid4()), order)

    def find_import(self, import_id: str) -> Import:
        """Return an import that was begun earlier, by its id."""
        return Import(self, import_id)

    def _table_url(self, table: str | Path, staging: str | None) -> str:
        if isinstance(table, str) and "://" in table:
            return table
        path = Path(table)
        if not path.is_file():
            raise InvalidInput(f"table: there is no file {str(table)!r}")
        return staged_table(staging_for(self.replica, staging or self.settings.staging_bucket), path)


def staged_table(staging: Staging, path: Path) -> str:
    """Put a table into a staging bucket, and return its URL."""
    calculator = ChecksumCalculator(path.stat().st_size)
    with path.open("rb") as file:
        while chunk := file.read(_MIB):
            calculator.update(chunk)
    return staging.put(path, f"imports/{uuid.uuid4()}.tsv", calculator.result(), _TYPE, lambda _: None)
