"""What tests of the whole system share: an API whose back ends are metered, and files in great number."""

from collections.abc import Callable, Iterator, Mapping

import pytest

from tests.support.api import Api, Version, put_file
from tests.support.bulk_heads import duplicate_files
from tests.support.clouds import Clouds
from tests.support.metered_api import MeteredApi, metered_api

ManyFiles = Callable[[str, int], list[Version]]


@pytest.fixture(scope="session")
def metered(stack: dict[str, str]) -> Iterator[MeteredApi]:
    """A further API, one process, with a proxy before each of its back ends."""
    # What Firestore is asked, also by a search: the local system searches in PostgreSQL by default.
    with metered_api({**stack, "DSS_INDEX": "firestore"}) as api:
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
            made[replica] += duplicate_files(env, made[replica][0], count - len(made[replica]))
        return made[replica][:count]

    return files
