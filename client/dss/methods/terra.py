"""What a client can give to Terra: data tables, and exports that Terra imports."""

from collections.abc import Iterator, Mapping
from typing import Any

from dss.api.session import Session
from dss.terra.entities import FILE
from dss.terra.export import SECONDS, TERRA, TerraExport, export
from dss.terra.selection import Selection
from dss.terra.table import table_lines


class TerraMethods(Session):
    """Tables and exports of bundles and collections, by name, or of what the query of a search finds."""

    def terra_table(
        self, *names: str, query: Mapping[str, Any] | None = None, table: str = FILE
    ) -> Iterator[str]:
        """Yield the lines of a data table as TSV, the header first, to upload to a workspace::

            for table in ("bundle", "file"):
                with open(f"{table}.tsv", "w", encoding="utf-8") as file:
                    file.writelines(client.terra_table(uuid, table=table))

        The rows of table `file` refer to those of `bundle`, so upload `bundle` first.
        """
        return table_lines(self, Selection(names=names, query=query), table)

    def terra_export(
        self,
        *names: str,
        to: str,
        query: Mapping[str, Any] | None = None,
        seconds: int = SECONDS,
        terra: str = TERRA,
        dry_run: bool = False,
    ) -> TerraExport:
        """Write a PFB to a bucket, gs://bucket/prefix; return it with the link by which Terra imports it::

            export = client.terra_export(uuid, to="gs://my-bucket/exports")
            print(export.bundles, export.files, export.bytes, export.link)

        The application default credentials of a service account write and sign. The link works for
        `seconds`, and shows the rows, but not the content of the files, to who has it. With `dry_run`
        nothing is written. Raises InvalidInput if nothing is selected, and MissingExtra.
        """
        selection = Selection(names=names, query=query)
        return export(self, selection, to=to, seconds=seconds, terra=terra, dry_run=dry_run)
