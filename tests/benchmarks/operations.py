"""Times of the API's requests, with one client and several, and of listing many bundles."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from local.api import ApiProcess, api_process
from local.components import API_TABLE
from local.stack import Stack
from tests.benchmarks.measurement import Figures, Operation, measure
from tests.benchmarks.operations_report import operations_section
from tests.benchmarks.processes import back_ends, cpu_of, used_since
from tests.benchmarks.sizes import sized
from tests.support.api import Api, Version, new_uuid, now, put_bundle, put_file
from tests.support.bulk_heads import duplicate_bundles, duplicate_files
from tests.support.clouds import Clouds

# Seconds a measurement, so that all of them take less than three minutes.
SECONDS = sized(4.0, 3.0)
CLIENTS = (1, 8)
WORKERS, THREADS = 2, 8
LISTED = 10_000
# Bytes from which a process has no room for several at once.
_LARGE_BODY = 1024 * 1024


def operations() -> str:
    """Measure, and return the section of the report. Raises LocalError."""
    with Stack(port=0, table=API_TABLE).running() as env, api_process(env, workers=WORKERS) as process:
        api, figures = Api(process.url, env["DSS_TOKEN"]), list[Figures]()
        measured = _operations(env, api, Clouds(env))
        for operation in measured:
            figures += _figures(process, env["DSS_TOKEN"], operation)
        [signed] = [one for one in measured if "presigned" in one.name]
        process.restart({"DSS_GS_SIGNING_KEY_FILE": _hmac_key(Path(env["DSS_LOCAL_DATA"]))})
        figures += _figures(process, env["DSS_TOKEN"], replace(signed, name=f"{signed.name} by HMAC"))
        listing = _enumeration(env, api, process.pid)
    setting = f"The API: gunicorn, {WORKERS} workers of {THREADS} threads; {SECONDS:.0f} s a measurement."
    return operations_section(setting, figures, listing)


def _figures(process: ApiProcess, token: str, operation: Operation) -> list[Figures]:
    """Measure an operation with each number of clients; a very large one with one."""
    figures = []
    for clients in CLIENTS if len(operation.body) < _LARGE_BODY else CLIENTS[:1]:
        figures.append(measure(process, token, operation, clients=clients, seconds=SECONDS))
        print(figures[-1], flush=True)
    return figures


def _hmac_key(directory: Path) -> str:
    """Return a file with an HMAC key. The server of GCS does not know it: nobody fetches what it signs."""
    file = directory / "hmac-key.json"
    file.write_text(json.dumps({"metadata": {"accessId": "GOOG1EXAMPLE"}, "secret": new_uuid()}))
    return str(file)


def _operations(env: Mapping[str, str], api: Api, clouds: Clouds) -> Sequence[Operation]:
    """Return the operations to measure; the first is the floor of all others."""
    sources = {replica: clouds.stage(replica, b"content") for replica in ("gcp", "aws")}
    file = put_file(api, sources["gcp"])
    files = duplicate_files(env, file, 10_000)
    bundle = put_bundle(api, "gcp", [one.named(f"file {n:03d}.txt") for n, one in enumerate(files[:100])])
    of_file = f"/v1/files/{file.uuid}?replica=gcp"
    of_bundle = f"/v1/bundles/{bundle.uuid}?replica=gcp&version={bundle.version}&per_page=100"
    version = now()
    return [
        Operation(name="GET /version", method="GET", target="/version", status=200),
        Operation(
            name="HEAD file, version",
            method="HEAD",
            target=f"{of_file}&version={file.version}",
            status=200,
        ),
        Operation(name="HEAD file, newest", method="HEAD", target=of_file, status=200),
        Operation(
            name="GET file, version", method="GET", target=f"{of_file}&version={file.version}", status=302
        ),
        Operation(name="GET bundle, 100 files", method="GET", target=of_bundle, status=200),
        Operation(
            name="GET bundle, 100 presigned URLs",
            method="GET",
            target=f"{of_bundle}&presignedurls=true",
            status=200,
        ),
        *(
            Operation(
                name=f"PUT file, {replica}",
                method="PUT",
                target=f"/v1/files/UUID?version={version}",
                status=201,
                body=json.dumps({"source_url": source, "creator_uid": 1}),
            )
            for replica, source in sources.items()
        ),
        *(_put_bundle(files[:count], version) for count in (10, 100, 1000, 10_000)),
    ]


def _put_bundle(files: Sequence[Version], version: str) -> Operation:
    items = [file.named(f"file {number:04d}.txt") for number, file in enumerate(files)]
    return Operation(
        name=f"PUT bundle, {len(files):,} files",
        method="PUT",
        target=f"/v1/bundles/UUID?replica=gcp&version={version}",
        status=201,
        body=json.dumps({"files": items, "creator_uid": 1}),
    )


def _enumeration(env: Mapping[str, str], api: Api, pid: int) -> str:
    """Return a sentence on how long it takes to list bundles, all under one prefix."""
    bundle = put_bundle(api, "gcp", [])
    prefix = new_uuid()[:8]
    duplicate_bundles(env, bundle, LISTED, prefix=prefix)
    watched = {"API": pid, "Firestore": back_ends()["Firestore"]}
    before, began = cpu_of(watched), time.monotonic()
    pages = list(api.pages("/v1/bundles/all", replica="gcp", prefix=prefix, per_page=500))
    seconds, used = time.monotonic() - began, used_since(before, watched)
    listed = sum(len(page.json()["bundles"]) for page in pages)
    assert listed == LISTED
    cpu = ", ".join(f"{name} {own:.1f} s" for name, own in used.items())
    rate = listed / seconds
    alone = listed / used["API"]
    return (
        f"{listed:,} bundles in {len(pages)} pages, one client: {seconds:.1f} s, {rate:,.0f} bundles/s. "
        f"CPU time: {cpu}. By its own CPU time the API lists {alone:,.0f} bundles/s a core."
    )
