"""CPU time for reading the arguments of requests by the contract, beside parsing JSON and query strings."""

import json
import time
import timeit
from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qsl, urlencode

from werkzeug.datastructures import MultiDict

from run.api.contract import Contract
from tests.support.api import new_uuid, now

FILES = 10_000
_ROUNDS = 5


def contract() -> str:
    """Measure, and return the section of the report."""
    operations = {operation.operation_id: operation for operation in Contract.load().operations}
    uuid, query = {"uuid": new_uuid()}, {"replica": "gcp", "version": now()}
    parameters = microseconds(partial(operations["files.get"].arguments, uuid, MultiDict(query)), 2000)
    parsed = microseconds(partial(parse_qsl, urlencode(query)), 2000)
    files = [
        {"uuid": new_uuid(), "version": now(), "name": f"reads/{number:06d}.fastq.gz", "indexed": False}
        for number in range(FILES)
    ]
    body = json.dumps({"files": files, "creator_uid": 1}).encode()
    put = partial(operations["bundles.put"].arguments, uuid, MultiDict(query), body, "application/json")
    checked, loaded = microseconds(put, 1), microseconds(partial(json.loads, body), 1)
    rows = [
        ("GET /files: UUID, replica, version", parameters, "urllib.parse.parse_qsl", parsed),
        (f"PUT /bundles: a body of {FILES:,} files", checked, "json.loads", loaded),
    ]
    return "\n".join(
        [
            "## Reading requests",
            "",
            f"CPU time, the least of {_ROUNDS} rounds.",
            "",
            "| what is read | µs | beside | µs | times as long |",
            "| --- | ---: | --- | ---: | ---: |",
            *(
                f"| {what} | {mine:,.1f} | `{other}` | {theirs:,.1f} | {mine / theirs:.1f} |"
                for what, mine, other, theirs in rows
            ),
            "",
        ]
    )


def microseconds(call: Callable[[], object], number: int) -> float:
    """Return the CPU time of a call, the least of some rounds of a number of calls each."""
    seconds = min(timeit.repeat(call, number=number, repeat=_ROUNDS, timer=time.process_time))
    return seconds / number * 1e6
