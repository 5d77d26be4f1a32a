"""What each call costs with 10, 1,000 and more of what it might depend on, in operations that clouds bill."""

import time
from collections.abc import Mapping, Sequence

from local.components import API_TABLE
from local.components.events import topics
from local.stack import Stack
from tests.benchmarks.sizes import sized
from tests.support.growth import Call, grown
from tests.support.metered_api import Bill

# The emulator holds each query against all documents: ten times as many take hours.
SIZES = sized((10, 1_000, 10_000), (10, 300))


def growth() -> str:
    """Measure, and return the section of the report. Raises LocalError."""
    bills: dict[Call, list[Bill]] = {}
    notes = []
    with Stack(port=0, table=(*API_TABLE, topics)).running() as env, grown(env) as system:
        for size in SIZES:
            began = time.monotonic()
            system.fill(size)
            filled = time.monotonic() - began
            for call, bill in system.costs():
                print(f"{size:,} {call.name}: {text_of(bill)}", flush=True)
                bills.setdefault(call, []).append(bill)
            notes.append(
                f"{size:,}: {filled:.0f} s to fill, {time.monotonic() - began - filled:.0f} s to count"
            )
            print(notes[-1], flush=True)
    return growth_section(bills, notes)


def growth_section(bills: Mapping[Call, Sequence[Bill]], notes: Sequence[str]) -> str:
    """Return the section; each call has a bill for each of SIZES."""
    flat = [call for call, of_sizes in bills.items() if len(set(of_sizes)) == 1]
    rows = [
        f"{len(flat)} of {len(bills)} calls cost the same with {SIZES[0]:,} and {SIZES[-1]:,} of what they",
        "might depend on. Counted are operations, so time has no meaning here: documents read and written",
        "(deleted ones, too), requests of Firestore, and requests of object stores.",
        "",
        "## Growth",
        "",
        "| call | with so many | " + " | ".join(f"{size:,}" for size in SIZES) + " | grows by |",
        "| --- | --- |" + " --- |" * len(SIZES) + " --- |",
    ]
    for call, of_sizes in bills.items():
        cells = [text_of(bill) for bill in of_sizes]
        same = len(set(of_sizes)) == 1
        shown = [cells[0], *["the same"] * (len(cells) - 1)] if same else cells
        rows.append(f"| {call.name} | {call.many} | {' | '.join(shown)} | {_growth(of_sizes)} |")
    return "\n".join(
        [
            *rows,
            "",
            "r: documents read; w: written; q: requests of Firestore; o: requests of object stores.",
            "",
            *notes,
            "",
        ]
    )


def text_of(bill: Bill) -> str:
    """Return a bill in a cell of the table."""
    parts = ((bill.reads, "r"), (bill.writes, "w"), (bill.requests, "q"), (bill.object_operations, "o"))
    return " ".join(f"{number}{name}" for number, name in parts if number)


def _growth(bills: Sequence[Bill]) -> str:
    if len(set(bills)) == 1:
        return "nothing"
    before, after = ((bill.reads, bill.writes, bill.requests) for bill in (bills[0], bills[-1]))
    many = SIZES[-1] - SIZES[0]
    rates = [
        f"{(end - begin) * 1000 / many:.2g} {name} for 1,000"
        for begin, end, name in zip(before, after, ("reads", "writes", "requests"), strict=True)
        if end != begin
    ]
    return ", ".join(rates)
