"""The libraries that scientists use read `dss://` paths lazily: from a real DSS, with the bytes counted."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import anndata
import duckdb
import fsspec
import h5py
import numpy
import pandas
import pyarrow.parquet
import pytest
import requests
import scipy.sparse
import xarray
import zarr

from dss.client import Client
from dss.filesystem import DssFileSystem
from local.api import api_process
from tests.support.clouds import REPLICAS
from tests.support.http_proxy import Fault, HttpProxy
from tests.support.waiting import wait_until

ROW_GROUPS = 20
# With four columns of 8 bytes, 8.7 MB.
ROWS = ROW_GROUPS * 13_600
STAGING = {"gcp": "gs://{DSS_GS_STAGING_BUCKET}", "aws": "s3://{DSS_S3_STAGING_BUCKET}"}
CREDENTIALS = ("STORAGE_EMULATOR_HOST", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@dataclass(frozen=True)
class DataSet:
    """A directory that is a bundle on a replica, and the proxy through which its bytes come."""

    directory: Path
    uuid: str
    options: dict[str, str]
    store: HttpProxy

    @property
    def fs(self) -> DssFileSystem:
        return fsspec.filesystem("dss", **self.options)

    def url(self, name: str) -> str:
        return f"dss://{self.uuid}/{name}"

    @property
    def moved(self) -> int:
        """The bytes that came from the store."""
        return sum(one.received for one in self.store.exchanges if one.status in (200, 206))


def stores(stack: dict[str, str]) -> dict[str, str]:
    return {"gcp": stack["STORAGE_EMULATOR_HOST"], "aws": stack["AWS_ENDPOINT_URL"]}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a data set of measurements may hold."""
    path = tmp_path_factory.mktemp("data")
    chance = numpy.random.default_rng(20260112)
    table = pandas.DataFrame({name: chance.random(ROWS) for name in "abcd"})
    table.to_parquet(
        path / "table.parquet", row_group_size=ROWS // ROW_GROUPS, compression=None, use_dictionary=False
    )
    table[:20_000].to_csv(path / "table.csv", index=False)
    heat = xarray.Dataset({"heat": (("time", "place"), chance.random((40, 500)))})
    chunks = {"heat": {"chunks": (10, 500), "compressors": None}}
    heat.to_zarr(path / "heat.zarr", zarr_format=3, encoding=chunks, consolidated=False)
    counts = scipy.sparse.random(200, 300, 0.1, format="csr", random_state=1, dtype="float32")
    cells = pandas.DataFrame({"depth": range(200)}, index=[f"cell {number}" for number in range(200)])
    anndata.AnnData(counts, obs=cells).write_h5ad(path / "cells.h5ad")
    with h5py.File(path / "image.h5", "w") as file:
        file["x"] = chance.random((400, 500))
    return path


@pytest.fixture(scope="module", params=["gcp"])
def bundle(
    request: pytest.FixtureRequest,
    stack: dict[str, str],
    data: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[DataSet]:
    replica = request.param
    with ExitStack() as exits:
        proxies = {name: exits.enter_context(HttpProxy(url)) for name, url in stores(stack).items()}
        settings = {"STORAGE_EMULATOR_HOST": proxies["gcp"].url, "AWS_ENDPOINT_URL": proxies["aws"].url}
        api = exits.enter_context(api_process(stack, settings))
        environment = exits.enter_context(pytest.MonkeyPatch.context())
        for name in CREDENTIALS:
            environment.setenv(name, stack[name])
        report = Client(stack["DSS_URL"], stack["DSS_TOKEN"], replica=replica).upload(
            data, staging=STAGING[replica].format(**stack), state=tmp_path_factory.mktemp("state") / "journal"
        )
        options = {"endpoint_url": api.url, "token": stack["DSS_TOKEN"], "replica": replica}
        yield DataSet(data, report.uuid, options, proxies[replica])


@pytest.fixture(autouse=True)
def _forget(bundle: DataSet) -> None:
    """Count from the beginning of each test."""
    bundle.fs.info(bundle.uuid)
    bundle.store.forget()


def column_bytes(path: Path, column: int) -> int:
    """Return the bytes that a reader of one column of a parquet file needs, with the footer."""
    with pyarrow.parquet.ParquetFile(path) as file:
        metadata = file.metadata
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        return metadata.serialized_size + sum(group.column(column).total_compressed_size for group in groups)


def test_pandas_reads_one_column_of_a_parquet_file(bundle: DataSet) -> None:
    local = bundle.directory / "table.parquet"
    needed = column_bytes(local, 1)

    table = pandas.read_parquet(bundle.url("table.parquet"), columns=["b"], storage_options=bundle.options)

    assert table.equals(pandas.read_parquet(local, columns=["b"]))
    assert 8.6e6 < local.stat().st_size < 8.9e6
    assert needed <= bundle.moved <= 1.5 * needed
    assert len(bundle.store.exchanges) <= ROW_GROUPS + 2


def test_pandas_reads_a_csv_file_and_its_beginning(bundle: DataSet) -> None:
    local = bundle.directory / "table.csv"

    beginning = pandas.read_csv(bundle.url("table.csv"), nrows=5, storage_options=bundle.options)
    assert bundle.moved < 0.5 * local.stat().st_size
    bundle.store.forget()
    table = pandas.read_csv(bundle.url("table.csv"), storage_options=bundle.options)

    assert table.equals(pandas.read_csv(local))
    assert beginning.equals(table[:5])
    assert bundle.moved == local.stat().st_size
    assert len(bundle.store.exchanges) < 6


def test_duckdb_reads_one_column(bundle: DataSet) -> None:
    local = bundle.directory / "table.parquet"
    with duckdb.connect() as database:
        database.register_filesystem(bundle.fs)

        query = f"select sum(c) from read_parquet('{bundle.url('table.parquet')}')"
        [(total,)] = database.sql(query).fetchall()

    assert total == pytest.approx(pandas.read_parquet(local, columns=["c"])["c"].sum())
    assert bundle.moved <= 1.5 * column_bytes(local, 2)


def test_zarr_and_xarray_read_the_chunks_that_they_need(bundle: DataSet) -> None:
    local = zarr.open_array(bundle.directory / "heat.zarr" / "heat", mode="r")
    chunk = 10 * 500 * 8

    array = zarr.open_array(bundle.url("heat.zarr/heat"), mode="r", storage_options=bundle.options)
    opened = xarray.open_zarr(
        bundle.url("heat.zarr"), storage_options=bundle.options, consolidated=False, chunks=None
    )
    assert bundle.moved < 10_000

    assert (array[3:5, 7:9] == local[3:5, 7:9]).all()
    assert (opened.heat[12:15].values == local[12:15]).all()
    assert 2 * chunk <= bundle.moved < 2 * chunk + 10_000

    bundle.store.forget()
    assert (opened.heat[:, 5].values == local[:, 5]).all()
    assert (len(bundle.store.exchanges), bundle.moved) == (4, 4 * chunk)


def test_h5py_and_anndata_read_what_they_need(bundle: DataSet) -> None:
    with bundle.fs.open(bundle.url("image.h5")) as remote, h5py.File(remote) as file:
        rows = file["x"][200:202]
    with h5py.File(bundle.directory / "image.h5") as file:
        assert (rows == file["x"][200:202]).all()
    assert bundle.moved < 200_000 < (bundle.directory / "image.h5").stat().st_size

    with bundle.fs.open(bundle.url("cells.h5ad")) as remote:
        cells = anndata.read_h5ad(remote)
    local = anndata.read_h5ad(bundle.directory / "cells.h5ad")
    assert (cells.X != local.X).nnz == 0
    assert cells.obs.equals(local.obs)


def test_a_newer_version_is_not_read_until_the_cache_is_invalidated(
    bundle: DataSet, stack: dict[str, str]
) -> None:
    client = Client(stack["DSS_URL"], stack["DSS_TOKEN"], replica=bundle.options["replica"])
    old = client.bundle(bundle.uuid)
    row = next(row for row in old["files"] if row["name"] == "table.csv")
    file = {name: row[name] for name in ("uuid", "version", "indexed")}

    new = client.patch_bundle(bundle.uuid, old["version"], add=[{**file, "name": "again.csv"}])

    assert not bundle.fs.exists(bundle.url("again.csv"))
    assert bundle.fs.exists(f"dss://{bundle.uuid}.{new}/again.csv")
    bundle.fs.invalidate_cache()
    assert bundle.fs.exists(bundle.url("again.csv"))
    assert not bundle.fs.exists(f"dss://{bundle.uuid}.{old['version']}/again.csv")


# The libraries see signed URLs alone; how one ends depends on the cloud.
@pytest.mark.parametrize("bundle", REPLICAS, indirect=True)
def test_reading_goes_on_when_a_signed_url_has_expired(bundle: DataSet, stack: dict[str, str]) -> None:
    """GCS's stand-in knows when a URL ends; that of S3 does not, and gets the answer that S3 would give."""
    content = (bundle.directory / "table.csv").read_bytes()
    replica = bundle.options["replica"]
    addresses = {"gcp": "STORAGE_EMULATOR_HOST", "aws": "AWS_ENDPOINT_URL"}
    settings = {addresses[replica]: bundle.store.url, "DSS_SIGNED_URL_SECONDS": "2"}
    with api_process(stack, settings) as api:
        fs = fsspec.filesystem("dss", **{**bundle.options, "endpoint_url": api.url})
        file = fs.open(bundle.url("table.csv"))
        beginning = file.read(100_000)
        url = file._remote.content.source.url
        if replica == "gcp":
            wait_until(lambda: requests.get(url, timeout=60).status_code == 400, "the URL has expired")
        bundle.store.forget()
        if replica == "aws":
            bundle.store.inflict(Fault(method="GET", status=403))

        assert beginning + file.read() == content

    statuses = [one.status for one in bundle.store.exchanges]
    # On a slow machine the new URL may have expired, too.
    assert statuses[0] == {"gcp": 400, "aws": 403}[replica]
    assert statuses.count(206) == 1
    # What was read before the end is not read again, but for the rest of a block.
    assert bundle.moved <= len(content) - 100_000
