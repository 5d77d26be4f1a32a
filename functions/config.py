"""What a process of functions reads first: its environment."""

import os

from shared.process import begin


def let_idle_workers_live() -> None:
    """Have gunicorn not end workers of several threads that it has not heard of.

    functions-framework gives it CLOUD_RUN_TIMEOUT_SECONDS, which it reads after this, as the time within
    which a worker must be heard of. An idle instance has no CPU: a worker of many threads would be taken for
    a hung one, and be killed with the next request. It says nothing of hung threads; a worker of one it does
    end.
    """
    if os.environ.get("THREADS", "1") != "1":
        os.environ["CLOUD_RUN_TIMEOUT_SECONDS"] = "0"


def refuse_wrong_settings() -> None:
    """On Cloud Run, end a process whose settings are missing or wrong, before it listens.

    Its revision then never gets a request. https://cloud.google.com/run/docs/container-contract#env-vars
    """
    if "K_SERVICE" in os.environ:
        begin()
