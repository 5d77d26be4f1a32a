"""The files of a bundle version, as a sequence and as a table."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, overload

from dss.errors import MissingExtra
from dss.progress_display import size_text
from dss.references import drs_host, drs_uri

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, kw_only=True)
class BundleFile:
    """A file in a bundle: its `name` there, its `size` in bytes, its UUID and version, its checksums in hex.

    `drs_uri` names the file for GA4GH DRS, in Terra for one. `indexed` says whether searches find what is in
    it.
    """

    name: str
    size: int
    content_type: str
    indexed: bool
    uuid: str
    version: str
    sha256: str
    sha1: str
    s3_etag: str
    crc32c: str
    drs_uri: str

    @classmethod
    def of(cls, row: Mapping[str, Any], host: str) -> "BundleFile":
        """Return a file as GET /bundles lists it; `host` is that of `drs_host`."""
        return cls(
            name=str(row["name"]),
            size=int(row["size"]),
            content_type=str(row.get("content-type", "")),
            indexed=bool(row.get("indexed", False)),
            uuid=str(row["uuid"]),
            version=str(row["version"]),
            sha256=str(row["sha256"]),
            sha1=str(row.get("sha1", "")),
            s3_etag=str(row.get("s3_etag", "")),
            crc32c=str(row.get("crc32c", "")),
            drs_uri=drs_uri(host, str(row["uuid"]), str(row["version"])),
        )


class BundleFiles(Sequence[BundleFile]):
    """The files of one bundle version, in the order of the bundle::

        files = client.files(uuid)
        print(files.fqid, len(files), files.size)
        print([file.name for file in files if file.size > 1000])
        table = files.to_dataframe()

    `uuid` and `version` are those of the bundle. It can be pickled, and so can each file.
    """

    def __init__(self, uuid: str, version: str, files: Sequence[BundleFile]) -> None:
        self.uuid = uuid
        self.version = version
        self._files = tuple(files)

    @classmethod
    def of(cls, bundle: Mapping[str, Any], url: str) -> "BundleFiles":
        """Return the files of a bundle as GET /bundles of the DSS at `url` has it."""
        host = drs_host(url)
        return cls(bundle["uuid"], bundle["version"], [BundleFile.of(row, host) for row in bundle["files"]])

    @property
    def fqid(self) -> str:
        """UUID.VERSION of the bundle."""
        return f"{self.uuid}.{self.version}"

    @property
    def size(self) -> int:
        """The size of all files together, in bytes."""
        return sum(file.size for file in self._files)

    @overload
    def __getitem__(self, index: int) -> BundleFile: ...

    @overload
    def __getitem__(self, index: slice) -> "BundleFiles": ...

    def __getitem__(self, index: int | slice) -> "BundleFile | BundleFiles":
        """Return one file, or those of a slice."""
        if isinstance(index, slice):
            return BundleFiles(self.uuid, self.version, self._files[index])
        return self._files[index]

    def __len__(self) -> int:
        return len(self._files)

    def __iter__(self) -> Iterator[BundleFile]:
        return iter(self._files)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BundleFiles) and (self.fqid, self._files) == (other.fqid, other._files)

    def __hash__(self) -> int:
        return hash((self.fqid, self._files))

    def __repr__(self) -> str:
        return f"<BundleFiles {self.fqid}: {len(self)} files, {size_text(self.size)}>"

    def to_dataframe(self) -> "pandas.DataFrame":
        """Return a table with a row for each file, and a column for each attribute of BundleFile.

        Raises MissingExtra without pandas.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingExtra("a table of files", "pandas") from error
        columns = list(BundleFile.__dataclass_fields__)
        return pandas.DataFrame([asdict(file) for file in self._files], columns=columns)
