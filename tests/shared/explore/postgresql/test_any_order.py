"""Changes come in any order: the catalogue is what there is in the end."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.access import labels_of
from shared.explore.base import DELETED, INDEXED, WITHDRAWN, BundleState
from shared.explore.postgresql import shares
from tests.support.catalogue import ANYBODY, open_catalogue
from tests.support.hca_sample import HcaBundle, sequenced
from tests.support.postgresql_server import StoppableServer

OLDER, NEWER = "2024-03-01T120000.000000Z", "2024-03-02T120000.000000Z"
LAB, OTHER_LAB = labels_of(("lab",)), labels_of(("other-lab",))
NAMES = ("a", "b", "c")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.sampled_from([OLDER, NEWER]),
        st.sampled_from([ANYBODY, LAB, OTHER_LAB, DELETED, WITHDRAWN]),
    ),
    min_size=4,
    max_size=10,
)


@pytest.fixture(scope="module")
def dsn(postgresql: StoppableServer) -> str:
    return postgresql.dsn


def bundle_of(name: str, version: str) -> HcaBundle:
    organ = "fin" if version == OLDER else "eye"
    # Two of three share a specimen, all share the project.
    return sequenced(name, version, specimen="s" if name != "c" else "t", organ=organ)


@settings(max_examples=8)
@given(STEPS, st.sampled_from([0, 1, 32]), st.randoms(use_true_random=False))
def test_any_order_of_changes_gives_what_is_there_in_the_end(
    dsn: str, steps: list[Any], most_read: int, order: random.Random
) -> None:
    with open_catalogue(dsn) as one, open_catalogue(dsn) as other, pytest.MonkeyPatch.context() as patched:
        patched.setattr(shares, "MOST_READ", most_read)
        final: dict[tuple[str, str], Any] = {}
        for name, version, what in steps:
            bundle = bundle_of(name, version).metadata()
            if isinstance(what, str):
                one.store.put(one.catalogue, BundleState(fqid=bundle.fqid, state=what))
            else:
                one.put(bundle, what)
            if final.get((name, version)) != DELETED:
                final[name, version] = what

        # Only what is there in the end, in another order, and always read as a whole.
        patched.setattr(shares, "MOST_READ", 32)
        left = [(key, labels) for key, labels in final.items() if not isinstance(labels, str)]
        order.shuffle(left)
        for (name, version), labels in left:
            other.put(bundle_of(name, version).metadata(), labels)

        assert one.tables() == other.tables()
        for (name, version), what in final.items():
            state = one.store.state(one.catalogue, bundle_of(name, version).fqid)
            assert state
            assert state.state == (what if isinstance(what, str) else INDEXED)
