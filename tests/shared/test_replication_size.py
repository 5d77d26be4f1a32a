"""The check of a bundle of many files goes on where it stopped."""

from collections.abc import Iterator

import pytest

from shared.errors import NotYetThere
from shared.identifiers import Fqid
from shared.system import Dss
from tests.given import Api, Clouds, put_bundle
from tests.shared.copying_between import opened
from tests.shared.two_clouds import DIRECTIONS, bring, new_file, status
from tests.system.file_heads import multiply
from tests.system.firestore_proxy import FirestoreProxy

FILES, LATE = 12_000, 1_000


@pytest.fixture(scope="module")
def counted(stack: dict[str, str]) -> Iterator[tuple[Dss, FirestoreProxy]]:
    with (
        FirestoreProxy(stack["FIRESTORE_EMULATOR_HOST"]) as proxy,
        opened({**stack, "FIRESTORE_EMULATOR_HOST": proxy.address}) as dss,
    ):
        yield dss, proxy


def reads(proxy: FirestoreProxy) -> int:
    """Return the documents read since the last time."""
    count = sum(call.reads for call in proxy.calls)
    proxy.forget()
    return count


@pytest.mark.parametrize(("here", "there"), DIRECTIONS[:1])
def test_a_check_of_12_000_files_resumes_where_it_stopped(
    stack: dict[str, str],
    counted: tuple[Dss, FirestoreProxy],
    api: Api,
    clouds: Clouds,
    here: str,
    there: str,
) -> None:
    dss, proxy = counted
    early, late = (new_file(api, clouds, here, b"one content of many files") for _ in range(2))
    bring(dss, here, f"files/{early}")
    files = multiply(stack, early, FILES - LATE) + (arriving := multiply(stack, late, LATE))
    bundle = put_bundle(api, here, [file.named(f"{number:05d}") for number, file in enumerate(files)])
    reads(proxy)

    with pytest.raises(NotYetThere, match=f"{LATE} of its files are not on {there}"):
        bring(dss, here, f"bundles/{bundle}")
    assert reads(proxy) > FILES

    for file in arriving:
        fqid = Fqid(file.uuid, file.version)
        dss.catalog.files.make_available(fqid, there)
    reads(proxy)
    bring(dss, here, f"bundles/{bundle}")

    # The last 2,000 of them, their pages, the head, and where to go on.
    assert reads(proxy) < 2_100
    assert status(api, "bundles", bundle, there) == 200
    assert clouds.read(there, f"bundles/{bundle}") == clouds.read(here, f"bundles/{bundle}")
