"""The sections and charts of docs/benchmarks/latency.md."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.charts import svg
from tests.benchmarks.copies import Copied
from tests.benchmarks.copies_report import ratios, table_of_copies

if TYPE_CHECKING:
    from tests.benchmarks.latency import Delayed

_DOCS = Path(__file__).parents[2] / "docs" / "benchmarks"
# What the function `sync` should take of a core for a small file, in milliseconds.
_SYNC_MILLISECONDS = 3

_ABOUT = """\
A proxy lets {delays} ms pass before every request to GCS, S3 and Firestore, for the DSS and for rclone alike
(`local/servers/latency.py`). One process of each function runs, with as many threads as an instance of the
deployment takes requests (`terraform/functions.tf`). {rclone} has its default of 4 transfers at 0 ms, and 32
transfers and checkers at 30 ms. Who begins in one round is last in the next.
"""

_COPIES = """\
From GCS to S3. All processes have opened their connections before.

- The DSS: files are PUT while their events wait in Pub/Sub. Timed is from the first event being handed to
  `sync` to the last file being available on `aws`, by the log of `sync`: blob copied and proved, manifest
  written, catalog updated. Large content is known to GCS before: a PUT of new content would send it on to S3
  while it verifies it. moto sends the event of each manifest within the PUT; it comes back through SNS,
  `s3_events` and Pub/Sub, and takes one look.
- rclone: timed is from start to exit: it lists both sides, copies the same bytes from staging bucket to
  staging bucket, and looks at each small copy (not at large ones: moto answers 400 to how it asks).
"""

_CHECKOUTS = """\
A bundle to the DSS checkout bucket, and `rclone copy` of the same objects to the same bucket, within one
cloud. The bucket is emptied before each round.

- The DSS: timed is from POST /bundles/{uuid}/checkout to the first answer that says SUCCEEDED, the start of
  the workflow included; every copy is proved by its checksums. In S3, content of several parts is copied part
  by part: the ETag of a copy by one request would be another one, and prove nothing.
- rclone: timed is from start to exit. It lists both sides and has the store copy; nothing is proved.
"""

_CALLS = """\
One client, one request after the other; half of the requests took no longer. The difference, in units of the
delay, is how many requests of theirs wait for each other.
"""

_SIGNING = """\
Without a signing key, IAM signs each URL of a page; here a function that waits stands in for it. 20 are
signed at once (`run/api/urls.py`).
"""


def latency_sections(measured: Sequence["Delayed"], *, rclone: str) -> str:
    """Return the sections, and write the charts that they show."""
    delays = [each.milliseconds for each in measured]
    copies = {each.milliseconds: each.copies for each in measured}
    checkouts = {each.milliseconds: each.checkouts for each in measured}
    (_DOCS / "latency-ratios.svg").write_bytes(svg(_draw_ratios, copies, checkouts))
    (_DOCS / "latency-calls.svg").write_bytes(svg(_draw_calls, measured))
    lines = [
        "## In short",
        "",
        _ABOUT.format(delays=" and ".join(map(str, delays)), rclone=rclone),
        "![How many times as long as rclone the DSS took](latency-ratios.svg)",
        "",
        *_of_each("## Replication, {} ms", _COPIES, copies, goal=1.0),
        *_cpu_of_sync(copies),
        "",
        *_of_each("## Checkouts, {} ms", _CHECKOUTS, checkouts, goal=1.2),
        "## Requests of the API",
        "",
        _CALLS,
        *_table_of_calls(measured),
        "",
        "![Requests of the API](latency-calls.svg)",
        "",
        "## Presigned URLs without a key",
        "",
        _SIGNING,
        *_table_of_signing(measured),
        "",
    ]
    return "\n".join(lines)


def _of_each(title: str, about: str, rows: Mapping[int, Sequence[Copied]], *, goal: float) -> list[str]:
    lines = []
    for number, (milliseconds, copies) in enumerate(rows.items()):
        lines += [title.format(milliseconds), ""]
        lines += [] if number else [about]
        lines += [*ratios(copies, goal=goal), "", *table_of_copies(copies), ""]
    return lines


def _cpu_of_sync(rows: Mapping[int, Sequence[Copied]]) -> list[str]:
    return [
        f"- {milliseconds} ms, {row.load.name}, round {row.round}: `sync` took "
        f"{row.cpu['sync'] / row.load.count * 1000:.1f} ms of a core a file "
        f"(goal: under {_SYNC_MILLISECONDS})."
        for milliseconds, copies in rows.items()
        for row in copies
        if row.who == "DSS" and row.load.count >= 1000
    ]


def _table_of_calls(measured: Sequence["Delayed"]) -> list[str]:
    first, *others = measured
    rows = [
        f"| request | {first.milliseconds} ms |"
        + "".join(f" {each.milliseconds} ms | requests in a row |" for each in others),
        "| --- | ---: |" + " ---: | ---: |" * len(others),
    ]
    for number, call in enumerate(first.calls):
        cells = [call.name, f"{call.seconds * 1000:.1f} ms"]
        for each in others:
            seconds = each.calls[number].seconds
            in_a_row = (seconds - call.seconds) * 1000 / (each.milliseconds - first.milliseconds)
            cells += [f"{seconds * 1000:.1f} ms", f"{in_a_row:.1f}"]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def _table_of_signing(measured: Sequence["Delayed"]) -> list[str]:
    return [
        "| an answer of IAM takes | URLs | seconds | one after the other |",
        "| ---: | ---: | ---: | ---: |",
        *(
            f"| {each.milliseconds} ms | {row.count} | {row.seconds:.2f} | {row.serially:.2f} |"
            for each in measured
            for row in each.signing
        ),
    ]


def _ratio_of(copies: Sequence[Copied]) -> dict[str, float]:
    """Return, by load, how many times as long as rclone the DSS took: the median of the rounds."""
    seconds = {(row.load.name, row.who, row.round): row.seconds for row in copies}
    measured: dict[str, list[float]] = {}
    for (load, who, number), mine in seconds.items():
        if who == "DSS":
            measured.setdefault(load, []).append(mine / seconds[load, "rclone", number])
    return {load: statistics.median(each) for load, each in measured.items()}


def _draw_ratios(
    figure: Any, copies: Mapping[int, Sequence[Copied]], checkouts: Mapping[int, Sequence[Copied]]
) -> None:
    """Draw a bar for each load and delay, and a line where rclone is."""
    figure.set_size_inches(9, 5)
    axes = figure.subplots()
    delays = list(copies)
    height = 0.8 / len(delays)
    for number, milliseconds in enumerate(delays):
        of_load = {
            **{f"replication: {name}": ratio for name, ratio in _ratio_of(copies[milliseconds]).items()},
            **{f"checkout: {name}": ratio for name, ratio in _ratio_of(checkouts[milliseconds]).items()},
        }
        places = [place + number * height for place in range(len(of_load))]
        bars = axes.barh(places, list(of_load.values()), height, label=f"{milliseconds} ms a request")
        axes.bar_label(bars, fmt="%.2f", padding=2, fontsize="small")
        axes.set_yticks([place + 0.4 - height / 2 for place in range(len(of_load))], list(of_load))
    axes.axvline(1, color="black", linewidth=1)
    axes.invert_yaxis()
    axes.set_xlabel("times as long as rclone")
    axes.legend(fontsize="small")


def _draw_calls(figure: Any, measured: Sequence["Delayed"]) -> None:
    """Draw a bar for each request and delay."""
    figure.set_size_inches(9, 3.5)
    axes = figure.subplots()
    height = 0.8 / len(measured)
    for number, each in enumerate(measured):
        places = [place + number * height for place in range(len(each.calls))]
        times = [call.seconds * 1000 for call in each.calls]
        bars = axes.barh(places, times, height, label=f"{each.milliseconds} ms a request")
        axes.bar_label(bars, fmt="%.0f", padding=2, fontsize="small")
    names = [call.name for call in measured[0].calls]
    axes.set_yticks([place + 0.4 - height / 2 for place in range(len(names))], names)
    axes.invert_yaxis()
    axes.set_xlabel("ms")
    axes.legend(fontsize="small")
