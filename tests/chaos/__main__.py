"""Make faults for some minutes, and prove that nothing was lost: `python -m tests.chaos --minutes 10`."""

import argparse
import json
import random
import sys
from pathlib import Path

from tests.chaos import report
from tests.chaos.charts import draw
from tests.chaos.run import run

# Seconds after the last fault within which all has to be right.
SETTLED = 300


def main() -> int:
    """Return 0 if all that was acknowledged is there, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="the same faults as in an earlier run")
    parser.add_argument("--settled", type=float, default=SETTLED, help="seconds until all has to be right")
    parser.add_argument("--output", type=Path, default=Path("build/chaos"), help="where the histories go")
    arguments = parser.parse_args()
    seed = random.randrange(10**6) if arguments.seed is None else arguments.seed
    output: Path = arguments.output / str(seed)
    output.mkdir(parents=True, exist_ok=True)
    print(f"seed {seed}; histories in {output}", flush=True)
    outcome = run(seed, arguments.minutes * 60, output, settled=arguments.settled)
    (output / "verdict.json").write_text(json.dumps({"wrong": outcome.faults}, indent=1))
    (output / "report.md").write_text(report.page(outcome))
    (output / "run.svg").write_bytes(draw(outcome))
    print(report.text(outcome), flush=True)
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
