"""A process that is squeezed ends if it takes more memory, and goes on if it does not."""

import signal
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from tests.chaos.faults.base import Fault
from tests.chaos.faults.processes import squeeze

# Says that it has started, takes so many MiB once it has read a line, and waits for the end of its input.
_TAKES = """
import sys
print("started", flush=True)
sys.stdin.readline()
taken = bytearray({} << 20)
sys.stdin.read()
"""


@pytest.mark.parametrize(("mebibytes", "ends_by"), [(32, -signal.SIGKILL), (1, None)])
def test_who_takes_more_memory_is_killed(mebibytes: int, ends_by: int | None) -> None:
    command = [sys.executable, "-c", _TAKES.format(mebibytes)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == b"started\n"
        pause = threading.Event()
        # While it is squeezed.
        timer = threading.Timer(0.1, process.stdin.write, [b"\n"])
        system: Any = SimpleNamespace(workers=lambda _: [process.pid], pause=pause.wait)
        timer.start()
        try:
            assert squeeze(system, Fault(0.0, "squeeze", "api", 1.0)) == str(process.pid)
            assert (process.wait(30) if ends_by else process.poll()) == ends_by
        finally:
            timer.join()
            process.kill()
