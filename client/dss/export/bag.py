"""Bags: BagIt 1.0 (RFC 8493), made by bdbag; the checksums in the manifests are those of the DSS.

bdbag knows files that are elsewhere, so it makes all tag files from a list of paths, sizes and checksums; no
content is read for it. It changes the working directory of the process for a moment.
"""

import logging
import re
import tempfile
from pathlib import Path
from typing import Any

from dss.errors import InvalidInput
from dss.export.contents import Contents, TagFiles

PAYLOAD = "data/"
MANIFEST = "manifest-sha256.txt"
_ALGORITHMS = ("sha1", "sha256")
_DECLARATION = "bagit.txt"
_FETCH = "fetch.txt"
# Tools for BagIt decode these in manifests, and no other characters: such a name would be another one.
_MISREAD = re.compile("%0[ad]", re.IGNORECASE)


def bag_files(contents: Contents, *, holey: bool) -> TagFiles:
    """Return the tag files of a bag, the declaration, without which there is no bag, last.

    A holey bag says in fetch.txt from where its files are to be fetched. Raises InvalidInput
    if a manifest can't have the name of a file, or there are no files.
    """
    from bdbag import bdbagit

    _check(contents)
    logging.getLogger(bdbagit.__name__).setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        bag = bdbagit.make_bag(
            name,
            bag_info=_info(contents),
            checksums=list(_ALGORITHMS),
            remote_entries=_entries(contents),
            spec_version="1.0",
        )
        if not holey:
            # The files are in the bag; what is left is to take fetch.txt out of the manifests of tag files.
            (directory / _FETCH).unlink()
            bag.save(manifests=False)
        written = {path.name: path.read_bytes() for path in sorted(directory.iterdir()) if path.is_file()}
    declaration = written.pop(_DECLARATION)
    return [*written.items(), (_DECLARATION, declaration)]


def _check(contents: Contents) -> None:
    if not len(contents.files):
        raise InvalidInput(f"{contents.fqid} has no files, and a bag needs one; export it --as ro-crate")
    for path in contents.paths.values():
        if _MISREAD.search(path):
            raise InvalidInput(
                f"{contents.fqid}: tools for bags take the %0A or %0D in {path[:80]!r} for a line's end; "
                "export it --as ro-crate or plain"
            )


def _entries(contents: Contents) -> dict[str, dict[str, Any]]:
    return {
        PAYLOAD + contents.paths[file.name]: {
            "url": contents.https_url(file),
            "length": file.size,
            "sha1": file.sha1,
            "sha256": file.sha256,
        }
        for file in contents.files
    }


def _info(contents: Contents) -> dict[str, str]:
    # No date of the bagging: the same bundle is the same bag.
    return {
        "External-Identifier": contents.drs_uri,
        "External-Description": f"Bundle {contents.fqid} of the Data Storage System at {contents.url}",
    }
