"""Packs what Cloud Functions builds: `build/functions.zip`.

    python3 terraform/package_functions.py

It needs nothing but Python. The same sources give the same bytes, so that Terraform, which names the archive
by its content, builds the functions only when they have changed.
"""

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ARCHIVE = ROOT / "build" / "functions.zip"
PACKAGES = ("functions", "shared")
# Cloud Functions looks for the entry points in main.py at the root, and puts only its directory on the path
# of imports: so this file, and not functions/main.py, whose own imports begin at the root. By
# `__getattr__` the entry points are attributes of it, too (PEP 562).
MAIN = b'"""Where Cloud Functions looks for the entry points."""\n\nfrom functions.main import __getattr__\n'
# What Cloud Functions installs. It holds hashes, so that pip accepts nothing else.
REQUIREMENTS = ROOT / "requirements-service.lock"


def contents() -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file of the archive, in order of name."""
    files = {"main.py": MAIN, "requirements.txt": REQUIREMENTS.read_bytes()}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                files[path.relative_to(ROOT).as_posix()] = path.read_bytes()
    yield from sorted(files.items())


def pack(archive: Path) -> None:
    """Write the archive."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    # Stored, not compressed: what a compressor makes of the same bytes depends on its version.
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as target:
        for name, content in contents():
            # 1980 is the first year that the format knows.
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            target.writestr(entry, content)


if __name__ == "__main__":
    pack(Path(sys.argv[1]) if len(sys.argv) > 1 else ARCHIVE)
