"""Research object crates: RO-Crate 1.1, made by rocrate; the checksums are those of the DSS."""

import json
from typing import Any

from dss.export.contents import Contents, TagFiles

METADATA = "ro-crate-metadata.json"
# RO-Crate asks for one, and the DSS knows none.
UNKNOWN_LICENSE = "Not recorded by the Data Storage System; ask those who made the data."
# The newest one that the tools of today read alike.
_VERSION = "1.1"
# Its context lacks these two.
_TERMS = {"sha1": "https://w3id.org/ro/terms/workflow-run#sha1", "sha256": "http://schema.org/sha256"}


def crate_files(contents: Contents, *, license_text: str | None) -> TagFiles:
    """Return the metadata file of a crate, the one file that makes a directory a crate.

    `license_text` is the URL or the name of the license of the data. Raises InvalidInput if the bundle
    has a file of that name.
    """
    from rocrate.model.file import File
    from rocrate.rocrate import ROCrate

    contents.check_free(METADATA, "ro-crate")
    crate = ROCrate(version=_VERSION)
    crate.metadata.extra_terms.update(_TERMS)
    crate.name = f"Bundle {contents.fqid}"
    crate.description = f"{len(contents.files)} files of the Data Storage System at {contents.url}"
    crate.license = license_text or UNKNOWN_LICENSE
    # rocrate puts the present moment there: the same bundle would be another crate each time.
    crate.root_dataset["datePublished"] = contents.date
    crate.root_dataset["identifier"] = contents.drs_uri
    for file in contents.files:
        properties: dict[str, Any] = {
            "name": file.name,
            "contentSize": str(file.size),
            "sha1": file.sha1,
            "sha256": file.sha256,
            "identifier": file.drs_uri,
            "url": contents.https_url(file),
        }
        if file.content_type:
            properties["encodingFormat"] = file.content_type
        crate.add(File(crate, dest_path=contents.paths[file.name], properties=properties))
    text = json.dumps(crate.metadata.generate(), indent=2, ensure_ascii=False)
    return [(METADATA, f"{text}\n".encode())]
