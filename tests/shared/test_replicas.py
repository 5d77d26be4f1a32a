"""Replicas by their names."""

from typing import Any

from shared.replicas import Replica, Replicas

STORE: Any = None


def test_replicas_by_names_are_in_the_order_of_the_settings_and_of_those_alone() -> None:
    gcp, aws = (
        Replica(name=name, open_store=lambda: STORE, bucket="b", checkout_bucket="c")
        for name in ("gcp", "aws")
    )
    replicas = Replicas(gcp, aws)

    assert replicas.among(frozenset(("aws", "gcp", "gone"))) == [gcp, aws]
    assert replicas.among(frozenset(("gone", "aws"))) == [aws]
    assert replicas.among(frozenset(("gone",))) == []
