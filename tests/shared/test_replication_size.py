"""The check of what has many parts goes on where it stopped, and asks again for nothing that is there."""

import json
from collections.abc import Iterator

import pytest

from shared.errors import NotYetThere
from shared.kinds import bundle as bundle_kind
from shared.system import Dss
from tests.support.api import Api, Version, put_bundle, put_collection, put_file
from tests.support.bulk_heads import duplicate_files
from tests.support.clouds import Clouds
from tests.support.dss import open_dss
from tests.support.firestore_proxy import FirestoreProxy
from tests.support.replication import OTHER, new_file, read_status, replicate_keys

# A tenth of what a step checks, and of a large bundle.
STEP, FILES = 500, 1200
# Each of these is in the bundle under many names.
HEADS = 100


@pytest.fixture(scope="module")
def counted(stack: dict[str, str]) -> Iterator[tuple[Dss, FirestoreProxy]]:
    with (
        FirestoreProxy(stack["FIRESTORE_EMULATOR_HOST"]) as proxy,
        open_dss({**stack, "FIRESTORE_EMULATOR_HOST": proxy.address}) as dss,
    ):
        yield dss, proxy


def reads(proxy: FirestoreProxy) -> int:
    """Return the documents read since the last time."""
    count = sum(call.reads for call in proxy.calls)
    proxy.forget()
    return count


def test_a_check_of_more_files_than_a_step_has_resumes_where_it_stopped(
    stack: dict[str, str],
    counted: tuple[Dss, FirestoreProxy],
    api: Api,
    clouds: Clouds,
    replica: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bundle_kind, "_CHECKED_AT_ONCE", STEP)
    dss, proxy = counted
    there = OTHER[replica]
    early, late = (new_file(api, clouds, replica, b"one content of many files") for _ in range(2))
    replicate_keys(dss, replica, f"files/{early}")
    heads = duplicate_files(stack, early, HEADS)
    items = [heads[number % HEADS].named(f"{number:05d}") for number in range(FILES - 1)]
    bundle = put_bundle(api, replica, [*items, late.named("99999")])
    reads(proxy)

    with pytest.raises(NotYetThere, match=f"1 of its files are not on {there} yet, for example {late}"):
        replicate_keys(dss, replica, f"bundles/{bundle}")
    # In each step: all heads, three times, and the pages of all files.
    first = reads(proxy)
    assert first > 3 * HEADS + FILES / 500

    replicate_keys(dss, replica, f"files/{late}")
    reads(proxy)
    replicate_keys(dss, replica, f"bundles/{bundle}")

    assert reads(proxy) < first / 2
    assert read_status(api, "bundles", bundle, there) == 206
    assert clouds.read(there, f"bundles/{bundle}") == clouds.read(replica, f"bundles/{bundle}")


def test_a_check_of_a_large_collection_resumes_and_that_of_its_next_version_asks_for_what_changed(
    stack: dict[str, str], counted: tuple[Dss, FirestoreProxy], api: Api, clouds: Clouds, replica: str
) -> None:
    dss, proxy = counted
    there = OTHER[replica]
    # With paths as long as they may be, two pages.
    key = "k" * 4000
    content = json.dumps({key: 1}).encode()
    early, late, added = (put_file(api, clouds.stage(replica, content)) for _ in range(3))
    replicate_keys(dss, replica, f"files/{early}", f"files/{added}")
    items = [file.linked("x", path=f"/{key}") for file in (*duplicate_files(stack, early, 400), late)]
    first = put_collection(api, replica, items)
    reads(proxy)

    with pytest.raises(NotYetThere, match=f"1 of its contents .* {there} yet, for example file {late}"):
        replicate_keys(dss, replica, f"collections/{first}")
    whole = reads(proxy)
    assert whole > 400
    replicate_keys(dss, replica, f"files/{late}")
    reads(proxy)
    replicate_keys(dss, replica, f"collections/{first}")
    assert reads(proxy) < whole - 200
    assert read_status(api, "collections", first, there) == 200

    path, changes = f"/v1/collections/{first.uuid}", {"add_contents": [added.linked()]}
    second = Version(**api.patch(path, replica=replica, version=first.version, json=changes).json())
    replicate_keys(dss, replica, f"collections/{second}")
    # Its head twice, the newest version there, both versions' pages, and the one file.
    assert reads(proxy) < 12
    assert read_status(api, "collections", second, there) == 200
