"""The catalogue's service, with what its tests look for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.beside import need_beside
from tests.support.explore_service import ExploreService, explore_service
from tests.support.hca_sample import sequenced
from tests.support.reference import reference_bundles

# Catalogues: of invented bundles, of the predecessor's, without any bundle, and of what tests put.
SAMPLES, REFERENCE, EMPTY, OWN = "samples", "reference", "empty", "own"
# The group that reads the second of the samples.
LAB = "explore-lab"


@pytest.fixture(scope="session")
def service(stack: dict[str, str]) -> Iterator[ExploreService]:
    """The service. SAMPLES has three bundles of two projects; the second bundle is for LAB only."""
    with explore_service(stack, SAMPLES, REFERENCE, EMPTY, OWN) as found:
        found.put(SAMPLES, sequenced("first", specimen="a", organ="brain").metadata())
        found.put(SAMPLES, sequenced("second", project="secret", specimen="b", organ="heart").metadata(), LAB)
        found.put(SAMPLES, sequenced("third", specimen="c", organ="liver", cells=50).metadata())
        yield found


@pytest.fixture(scope="session")
def expected() -> Path:
    """The folder of the predecessor's answers."""
    return need_beside("azul/expected")


@pytest.fixture(scope="session")
def reference(service: ExploreService, expected: Path) -> ExploreService:
    """The service, with the predecessor's nine bundle versions in REFERENCE."""
    for bundle in reference_bundles(expected):
        service.put(REFERENCE, bundle)
    return service
