"""Charts as SVG files, the same bytes for the same figures."""

import io
from collections.abc import Callable
from typing import Any


def svg(draw: Callable[..., None], *arguments: Any) -> bytes:
    """Return the SVG of the figure that `draw` is given, with these arguments."""
    # Only here: imported for the first time on a machine, matplotlib starts processes to find the fonts.
    import matplotlib as mpl
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    draw(figure, *arguments)
    drawn = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "dss", "svg.fonttype": "none"}):
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    return drawn.getvalue()
