"""Plant each bug in a copy of the sources, run chaos there, and say what found it.

    python -m tests.chaos.mutants [NAME ...] [--minutes 1] [--seed 1]

First the sources run as they are: what the same run finds in them shows no bug. Returns 0 if it finds nothing
in those, and every bug, else 1.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.source_tree import PACKAGE_ROOTS, ROOT
from tests.chaos.mutants.patches import Mutant, mutants

# What no run needs, and takes long to copy.
_LEFT_OUT = shutil.ignore_patterns(".venv", ".git", "build", ".dss", "__pycache__", ".*_cache", ".hypothesis")
# Seconds after the last fault within which all has to be right: a bug that lasts is one that was found.
_SETTLED = 120
_UNCHANGED = Mutant("unchanged", "The sources as they are.", ())


def main() -> int:
    """Run the mutants that are named, or all, and print what found each."""
    known = mutants()
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("build/mutants"), help="where the reports go")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - known.keys():
        parser.error(f"there is no mutant {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    is_right = True
    for mutant in [_UNCHANGED, *(known[name] for name in arguments.names or known)]:
        output = (arguments.output / mutant.name).absolute()
        found = run(mutant, arguments.minutes, arguments.seed, output)
        is_right = is_right and (len(found) > 1) == (mutant is not _UNCHANGED)
        print(row(mutant, found), flush=True)
    return 0 if is_right else 1


def run(mutant: Mutant, minutes: float, seed: int, output: Path) -> Mapping[str, Sequence[str] | float]:
    """Run chaos with a bug; return its `seconds`, and what is wrong, by check.

    The run ends with an error of its own if the system does not even start.
    """
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dss-mutant-") as place:
        copy = Path(place) / "sources"
        shutil.copytree(ROOT, copy, ignore=_LEFT_OUT)
        mutant.apply(copy)
        packages = [str(copy / root.relative_to(ROOT)) for root in PACKAGE_ROOTS]
        command = [sys.executable, "-m", "tests.chaos", "--minutes", str(minutes), "--seed", str(seed)]
        command += ["--settled", str(_SETTLED), "--output", str(output)]
        began = time.monotonic()
        with (output / "log").open("w") as log:
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(packages)}
            done = subprocess.run(
                command, cwd=copy, env=environment, stdout=log, stderr=subprocess.STDOUT, check=False
            )
        seconds = round(time.monotonic() - began)
    verdict = output / str(seed) / "verdict.json"
    if not verdict.exists():
        return {"seconds": seconds, f"the run ends with exit code {done.returncode}": [str(output / "log")]}
    found = {name: each for name, each in json.loads(verdict.read_text())["wrong"].items() if each}
    return {"seconds": seconds, **found}


def row(mutant: Mutant, found: Mapping[str, Sequence[str] | float]) -> str:
    """Return the row of a table: a mutant, after how many seconds it was found, and by which checks."""
    by = "; ".join(name for name in found if name != "seconds") or "nothing is found"
    return f"| {mutant.name} | {found['seconds']} | {by} |"


if __name__ == "__main__":
    sys.exit(main())
