"""Who meets others at the same documents of the catalog waits for them, and does not fail."""

import grpc
import pytest

from shared.catalog.tombstones import BundleTombstone
from tests.support.api import Api, now
from tests.support.clouds import Clouds
from tests.support.dss import open_dss
from tests.support.firestore_proxy import CallFault, FirestoreProxy
from tests.support.replication import new_bundle, new_file, read_status


@pytest.mark.parametrize(
    ("whole", "harm"),
    [
        (False, CallFault(method="BatchGetDocuments", times=2, code=grpc.StatusCode.ABORTED)),
        (True, CallFault(method="RunQuery", times=2, code=grpc.StatusCode.ABORTED)),
    ],
)
def test_a_commit_that_firestore_aborts_is_retried(
    stack: dict[str, str], api: Api, clouds: Clouds, whole: bool, harm: CallFault
) -> None:
    bundle = new_bundle(api, "gcp", new_file(api, clouds, "gcp", b"contended"))
    version = None if whole else bundle.version
    tombstone = BundleTombstone(uuid=bundle.uuid, version=version, email="a@example.org", reason=now())
    with (
        FirestoreProxy(stack["FIRESTORE_EMULATOR_HOST"]) as proxy,
        open_dss({**stack, "FIRESTORE_EMULATOR_HOST": proxy.address}) as dss,
    ):
        proxy.inflict(CallFault(method="Commit", times=2, code=grpc.StatusCode.ABORTED))
        dss.catalog.tombstones.create(tombstone)
        proxy.inflict(harm)
        dss.catalog.tombstones.hide(tombstone, "gcp")
        assert dss.catalog.tombstones.available(tombstone) == {"gcp"}
        assert harm.times == 0
    assert read_status(api, "bundles", bundle, "gcp") == 404
