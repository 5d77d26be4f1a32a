"""A commit whose answer gets lost may have been applied: that is an error which tells to try again."""

import grpc
import pytest

from shared.errors import Unavailable
from tests.support.api import new_uuid
from tests.support.dss import open_dss
from tests.support.firestore_proxy import CallFault, FirestoreProxy


@pytest.mark.parametrize("is_applied", [True, False])
def test_a_transaction_whose_commit_is_not_answered_may_be_tried_again(
    stack: dict[str, str], is_applied: bool
) -> None:
    with (
        FirestoreProxy(stack["FIRESTORE_EMULATOR_HOST"]) as proxy,
        open_dss({**stack, "FIRESTORE_EMULATOR_HOST": proxy.address}) as dss,
    ):
        database = dss.catalog.database
        document = database.client.collection("lost_commits").document(new_uuid())

        def add(transaction: object) -> None:
            known = document.get(transaction=transaction)
            count = known.get("count") if known.exists else 0
            transaction.set(document, {"count": count + 1})  # type: ignore[attr-defined]

        lost = CallFault(method="Commit", code=grpc.StatusCode.UNAVAILABLE, lose_answer=is_applied)
        proxy.inflict(lost)
        if is_applied:
            with pytest.raises(Unavailable, match="not known whether"):
                database.transact(add)
        else:
            database.transact(add)
        assert lost.times == 0
        assert document.get().get("count") == 1
        database.transact(add)
        assert document.get().get("count") == 2
