"""What tests of the whole system share: an API whose back ends are watched, and files in great number."""

from collections.abc import Callable, Iterator, Mapping

import pytest

from tests.support.file_heads import multiply
from tests.support.given import Api, Clouds, Version, put_file
from tests.support.watched import WatchedApi, watched_api

ManyFiles = Callable[[str, int], list[Version]]


@pytest.fixture(scope="session")
def watched(stack: dict[str, str]) -> Iterator[WatchedApi]:
    """A further API, one process, with a proxy before each of its back ends."""
    with watched_api(stack) as api:
        yield api


@pytest.fixture(scope="session")
def many_files(stack: dict[str, str], api: Api, clouds: Clouds) -> ManyFiles:
    """Return some number of files on a replica, all with one content; the same ones each time."""
    return files_in_number(stack, api, clouds)


def files_in_number(env: Mapping[str, str], api: Api, clouds: Clouds) -> ManyFiles:
    """Return what makes many files in the system of `env`."""
    made: dict[str, list[Version]] = {"gcp": [], "aws": []}

    def files(replica: str, count: int) -> list[Version]:
        if len(made[replica]) < count:
            if not made[replica]:
                source = clouds.stage(replica, b"one content of many files", content_type="text/plain")
                made[replica].append(put_file(api, source))
            made[replica] += multiply(env, made[replica][0], count - len(made[replica]))
        return made[replica][:count]

    return files
