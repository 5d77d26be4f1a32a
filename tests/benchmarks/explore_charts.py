"""Charts of a load test: how many requests there were from second to second, and how long each kind took."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.benchmarks.charts import svg

Row = Mapping[str, str]
_ALL = "Aggregated"
_P50, _P95 = "50%", "95%"


def draw(rows: Sequence[Row], history: Sequence[Row]) -> bytes:
    """Return an SVG of Locust's statistics: its rows by request, and those of all requests by time."""
    return svg(_draw, rows, history)


def _draw(figure: Any, rows: Sequence[Row], history: Sequence[Row]) -> None:
    kinds = [row for row in rows if row["Name"] != _ALL]
    figure.set_size_inches(9, 5 + len(kinds) / 4)
    over_time, by_kind = figure.subplots(2, 1, height_ratios=[3, 1 + len(kinds) / 4])
    _draw_over_time(over_time, [row for row in history if row["Name"] == _ALL])
    _draw_by_kind(by_kind, kinds)


def _draw_over_time(axes: Any, rows: Sequence[Row]) -> None:
    """Draw the requests and failures of each second, and the times of those of the last ten seconds."""
    # Locust writes N/A before the first answer.
    rows = [row for row in rows if row[_P95] != "N/A"]
    seconds = [int(row["Timestamp"]) - int(rows[0]["Timestamp"]) for row in rows]
    for name, color in (("Requests/s", "tab:blue"), ("Failures/s", "tab:red")):
        axes.plot(seconds, [float(row[name]) for row in rows], color=color, label=name)
    axes.set_xlabel("seconds")
    axes.set_ylabel("a second")
    axes.set_ylim(bottom=0)
    times = axes.twinx()
    for name, style in ((_P50, ":"), (_P95, "-")):
        times.plot(seconds, [float(row[name]) for row in rows], style, color="tab:gray", label=f"{name} ms")
    times.set_ylabel("ms")
    times.set_ylim(bottom=0)
    lines = [*axes.get_lines(), *times.get_lines()]
    axes.legend(lines, [line.get_label() for line in lines], loc="upper right", fontsize="small")
    axes.set_title("All requests")


def _draw_by_kind(axes: Any, rows: Sequence[Row]) -> None:
    """Draw a bar for each kind of request: half of them took less than the dark part, 95 % less than all."""
    names = [row["Name"] for row in rows]
    for column, color in ((_P95, "lightsteelblue"), (_P50, "tab:blue")):
        # Of a request that nobody got to make there is no time.
        values = [float(row[column]) if row[column] != "N/A" else 0.0 for row in rows]
        axes.barh(names, values, color=color, label=f"{column} of the requests")
    axes.invert_yaxis()
    axes.set_xlabel("ms")
    axes.legend(fontsize="small")
    axes.set_title("Each request")


def draw_steps(
    offered: Sequence[float], reached: Sequence[float], cores: Sequence[Mapping[str, float]]
) -> bytes:
    """Return an SVG of the rates that were reached of those offered, and the cores that each process used."""
    return svg(_draw_steps, offered, reached, cores)


def _draw_steps(
    figure: Any, offered: Sequence[float], reached: Sequence[float], cores: Sequence[Mapping[str, float]]
) -> None:
    figure.set_size_inches(9, 7)
    rates, used = figure.subplots(2, 1)
    rates.plot(offered, offered, ":", color="tab:gray", label="offered")
    rates.plot(offered, reached, "o-", color="tab:blue", label="reached")
    rates.set_ylabel("bundles a second")
    names = sorted({name for step in cores for name in step}, key=lambda name: -cores[-1].get(name, 0))
    used.stackplot(offered, [[step.get(name, 0) for step in cores] for name in names[:8]], labels=names[:8])
    used.set_xlabel("bundles a second that were offered")
    used.set_ylabel("cores")
    for axes in (rates, used):
        axes.set_ylim(bottom=0)
        axes.legend(loc="upper left", fontsize="small")
