"""The API, each of whose processes has a clock of its own."""

from tests.chaos.clocks import install

install()

from run.api.main import app  # noqa: E402 # it reads the clock

__all__ = ["app"]
