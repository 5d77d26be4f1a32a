"""What tests of several functions share."""

from collections.abc import Iterator

import pytest

from shared.messages import BUNDLE_EVENTS
from tests.support.function_process import FunctionProcess, function_process
from tests.support.topics import Listener, listening


@pytest.fixture(scope="module")
def listener(stack: dict[str, str]) -> Iterator[Listener]:
    """Who hears of each event that is told."""
    with listening(stack, BUNDLE_EVENTS) as found:
        yield found


@pytest.fixture(scope="module")
def index(stack: dict[str, str], listener: Listener) -> Iterator[FunctionProcess]:
    """`index`, told only what a test tells it; the topic that it publishes to is there."""
    assert listener.attributes == []
    with function_process("index", stack) as process:
        yield process
