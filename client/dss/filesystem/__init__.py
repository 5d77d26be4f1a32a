"""`dss://UUID[.VERSION]/NAME` for fsspec, and so for pandas, pyarrow, xarray, zarr, h5py, anndata and DuckDB.

fsspec finds `DssFileSystem` by the entry point `dss` of the group `fsspec.specs`.
"""

from dss.errors import MissingExtra

try:
    import fsspec as _  # noqa: F401
except ImportError as error:
    raise MissingExtra("reading dss:// paths", "pandas") from error

from dss.filesystem.system import DssFileSystem

__all__ = ["DssFileSystem"]
