"""The media type of a file, by its name."""

from mimetypes import MimeTypes
from pathlib import PurePosixPath

# Formats of data that Python's own table lacks, or takes for another format (it has .vcf as a business card).
_TYPES = {
    # https://www.iana.org/assignments/media-types: registered
    ".arrow": "application/vnd.apache.arrow.file",
    ".geojson": "application/geo+json",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".sqlite": "application/vnd.sqlite3",
    ".tsv": "text/tab-separated-values",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    # Not registered; in common use
    ".h5": "application/x-hdf5",
    ".h5ad": "application/x-hdf5",
    ".hdf5": "application/x-hdf5",
    ".ipynb": "application/x-ipynb+json",
    ".loom": "application/x-hdf5",
    ".npy": "application/x-npy",
    # Text of life sciences
    ".bed": "text/plain",
    ".fa": "text/plain",
    ".fasta": "text/plain",
    ".fastq": "text/plain",
    ".fq": "text/plain",
    ".gff": "text/plain",
    ".gff3": "text/plain",
    ".gtf": "text/plain",
    ".mtx": "text/plain",
    ".sam": "text/plain",
    ".vcf": "text/plain",
}
# Zarr v2: its metadata files are JSON, and have no other name.
_NAMES = dict.fromkeys((".zarray", ".zattrs", ".zgroup", ".zmetadata"), "application/json")
# The type of a file as it is stored, not of its content: compressed bytes are not decoded on the way.
_COMPRESSED = {
    "br": "application/x-brotli",
    "bzip2": "application/x-bzip2",
    "compress": "application/x-compress",
    "gzip": "application/gzip",
    "xz": "application/x-xz",
}
_COMPRESSED_SUFFIXES = {".zst": "application/zstd", ".lz4": "application/x-lz4", ".bgz": "application/gzip"}
_UNKNOWN = "application/octet-stream"

# Python's own table, and nothing of this machine's: the same file has the same type everywhere.
_PYTHON = MimeTypes(filenames=())


def content_type_of(name: str) -> str:
    """Return the media type of a file with this name; `application/octet-stream` if it is not known.

    `a.csv.gz` is `application/gzip`: it is stored compressed, and read so.
    """
    path = PurePosixPath(name.lower())
    if path.suffix in _COMPRESSED_SUFFIXES:
        return _COMPRESSED_SUFFIXES[path.suffix]
    guessed, encoding = _PYTHON.guess_type(f"file{path.suffix}")
    if encoding:
        return _COMPRESSED.get(encoding, _UNKNOWN)
    return _NAMES.get(path.name) or _TYPES.get(path.suffix) or guessed or _UNKNOWN
