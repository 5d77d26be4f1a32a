"""Times of DRS: objects alone and in bulk, signed URLs, and a large bundle; beside indexd's figures.

indexd, the DRS server of Gen3, is not on PyPI; its figures are those that were measured when it was at hand.
"""

import json
from collections.abc import Mapping, Sequence

from local.api import api_process
from local.components import API_TABLE
from local.stack import Stack
from run.drs.document import DRS_PATH
from tests.benchmarks.measurement import Figures, Operation, measure
from tests.support.api import Api, Version, put_bundle, put_file
from tests.support.bulk_heads import duplicate_files
from tests.support.clouds import Clouds

# Seconds a measurement.
SECONDS = 3.0
CLIENTS = (1, 8)
WORKERS, THREADS = 2, 8
IN_BULK, IN_BUNDLE = 100, 10_000
# For the PUT of the bundle, on a machine that is busy with other work too.
_SETTINGS = {"DSS_REQUEST_SECONDS": "300"}
# CPU ms of `GET /index/{did}` of indexd with PostgreSQL on such a machine, the least and the most.
_INDEXD_MS = (2.29, 2.88)
# Statements of SQL that indexd takes for one object, and for a hundred in bulk.
_INDEXD_SQL = ("18 to 30", "1,503")


def drs() -> str:
    """Measure, and return the sections of the report. Raises LocalError."""
    with (
        Stack(port=0, table=API_TABLE).running() as env,
        api_process(env, _SETTINGS, workers=WORKERS) as process,
    ):
        figures = list[tuple[int, Figures]]()
        for objects, operation in _operations(env, Api(process.url, env["DSS_TOKEN"]), Clouds(env)):
            for clients in CLIENTS:
                row = measure(process, env["DSS_TOKEN"], operation, clients=clients, seconds=SECONDS)
                print(row, flush=True)
                figures.append((objects, row))
    return _section(figures)


def _operations(env: Mapping[str, str], api: Api, clouds: Clouds) -> Sequence[tuple[int, Operation]]:
    """Return the operations, each with the number of objects in its answer.

    Not the newest version: for a query, the emulator of Firestore looks at all of these files.
    """
    file = put_file(api, clouds.stage("gcp", b"content"))
    files = duplicate_files(env, file, IN_BUNDLE)
    bundle = put_bundle(api, "gcp", [one.named(f"data/{n:05d}") for n, one in enumerate(files)])
    ids = list(map(str, files[:IN_BULK]))
    pairs = [{"bulk_object_id": one, "bulk_access_ids": ["https.gcp"]} for one in ids]
    return [
        (1, _get("GET object", f"/objects/{file}")),
        (1, _get("GET access", f"/objects/{file}/access/https.gcp")),
        (IN_BULK, _post(f"POST {IN_BULK} objects", "/objects", {"bulk_object_ids": ids})),
        (IN_BULK, _post(f"POST {IN_BULK} accesses", "/objects/access", {"bulk_object_access_ids": pairs})),
        (1, _bundle(bundle)),
    ]


def _get(name: str, path: str) -> Operation:
    return Operation(name=name, method="GET", target=DRS_PATH + path, status=200)


def _post(name: str, path: str, body: object) -> Operation:
    return Operation(name=name, method="POST", target=DRS_PATH + path, status=200, body=json.dumps(body))


def _bundle(bundle: Version) -> Operation:
    return _get(f"GET bundle of {IN_BUNDLE:,} files", f"/objects/{bundle}")


def _section(figures: Sequence[tuple[int, Figures]]) -> str:
    rows = [
        f"| {row.operation} | {row.clients} | {row.per_second:,.1f} | {row.per_second * objects:,.0f} "
        f"| {row.p50 * 1000:,.1f} | {row.p99 * 1000:,.1f} | {row.cpu_per_request * 1000:,.2f} "
        f"| {row.cpu_per_request * 1000 / objects:,.2f} |"
        for objects, row in figures
    ]
    return "\n".join(
        [
            "## DRS",
            "",
            f"The API: gunicorn, {WORKERS} workers of {THREADS} threads; {SECONDS:.0f} s a measurement.",
            "",
            "| request | clients | requests/s | objects/s | p50 ms | p99 ms | CPU ms | CPU ms an object |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
            *rows,
            "",
            "## Beside indexd",
            "",
            "indexd, the DRS server of Gen3, is not on PyPI, and was not run here. When it was measured,",
            f"`GET /index/{{did}}` took {_INDEXD_MS[0]} to {_INDEXD_MS[1]} ms of CPU time, without that of",
            f"PostgreSQL; an object took {_INDEXD_SQL[0]} statements of SQL, and a hundred in bulk",
            f"{_INDEXD_SQL[1]}.",
            "",
            "| here | CPU ms an object | objects for the CPU time of one of indexd's |",
            "| --- | ---: | ---: |",
            *(_ratio(objects, row) for objects, row in figures if _is_compared(row)),
            "",
        ]
    )


def _is_compared(row: Figures) -> bool:
    return row.clients == CLIENTS[-1] and row.operation in ("GET object", f"POST {IN_BULK} objects")


def _ratio(objects: int, row: Figures) -> str:
    own = row.cpu_per_request * 1000 / objects
    least, most = (theirs / own for theirs in _INDEXD_MS)
    return f"| {row.operation} | {own:.2f} | {least:.1f} to {most:.1f} |"
