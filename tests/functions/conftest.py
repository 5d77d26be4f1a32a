"""What tests of several functions share."""

from collections.abc import Iterator

import pytest

from shared.messages import BUNDLE_EVENTS
from shared.system import Dss
from tests.support.dss import open_dss_for_threads
from tests.support.function_process import FunctionProcess, function_process
from tests.support.topic_listener import TopicListener, listen_to


@pytest.fixture(scope="module")
def listener(stack: dict[str, str]) -> Iterator[TopicListener]:
    """Receives each event that is published."""
    with listen_to(stack, BUNDLE_EVENTS) as found:
        yield found


@pytest.fixture(scope="module")
def index(stack: dict[str, str], listener: TopicListener) -> Iterator[FunctionProcess]:
    """`index`, which gets only the messages of tests; the topic that it publishes to exists."""
    assert listener.attributes == []
    with function_process("index", stack) as process:
        yield process


@pytest.fixture(scope="module")
def dss(stack: dict[str, str]) -> Dss:
    """The dependencies of the running system, as an operator has them."""
    return open_dss_for_threads(stack, publishes=False)
