"""Print the `import` blocks by which Terraform takes over a database that was restored from a backup.

    python3 terraform/restored_database.py --project=PROJECT --database=NAME > terraform/restored.tf

A backup has the composite indexes of its database, so Terraform could not make them once more. It needs
`gcloud` and nothing else. docs/disaster.md has the steps around it.
"""

import argparse
import json
import subprocess
from collections.abc import Iterable, Iterator
from typing import Any

_SECONDS = 120


def blocks(project: str, database: str, indexes: Iterable[Any]) -> Iterator[str]:
    """Yield a block for the database, and one for each of its composite indexes as `gcloud` lists them."""
    yield _block("google_firestore_database.catalog", f"projects/{project}/databases/{database}")
    for index in indexes:
        yield _block(f"google_firestore_index.composite[{json.dumps(_key(index))}]", index["name"])


def _key(index: Any) -> str:
    """Return the key of an index in firestore.tf: its collection and fields."""
    collection = index["name"].split("/")[5]
    # Firestore adds the name of the document to the fields that were asked for.
    fields = [field for field in index["fields"] if field["fieldPath"] != "__name__"]
    modes = [field.get("order") or field["arrayConfig"] for field in fields]
    return " ".join(
        [collection, *(f"{field['fieldPath']}:{mode}" for field, mode in zip(fields, modes, strict=True))]
    )


def _block(address: str, identity: str) -> str:
    return f"import {{\n  to = {address}\n  id = {json.dumps(identity)}\n}}\n"


def main() -> None:
    """Ask `gcloud`, and print the blocks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", required=True)
    parser.add_argument("--database", required=True)
    given = parser.parse_args()
    command = ["gcloud", "firestore", "indexes", "composite", "list", "--format=json"]
    command += [f"--project={given.project}", f"--database={given.database}"]
    listed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=_SECONDS).stdout
    print("\n".join(blocks(given.project, given.database, json.loads(listed))), end="")


if __name__ == "__main__":
    main()
