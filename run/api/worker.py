"""The worker class of gunicorn that serves the API: `gunicorn --worker-class run.api.worker.Worker`."""

from typing import Any

from uvicorn_worker import UvicornWorker

from run.api.connections import Connection


class Worker(UvicornWorker):  # type: ignore[misc] # it has no types
    """A worker process of gunicorn: one event loop that serves connections with limits."""

    CONFIG_KWARGS = {
        "loop": "asyncio",
        "http": Connection,
        "ws": "none",
        "lifespan": "off",
        "interface": "asgi3",
        # run/api/clients.py reads the headers of proxies that the settings trust.
        "proxy_headers": False,
        "server_header": False,
        "access_log": False,
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.config.timeout_graceful_shutdown = self.cfg.graceful_timeout
