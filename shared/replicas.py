"""Replicas: each has a name, an object store, and its buckets."""

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from shared.errors import IllegalArguments, UnknownSourceSchema
from shared.stores.base import ObjectStore


@dataclass(frozen=True, kw_only=True)
class Replica:
    """One cloud's copy of everything. `region` is that of its buckets, empty if it is not known."""

    name: str
    bucket: str
    checkout_bucket: str
    region: str = ""
    # Called once, when the store is first used: not every process uses it.
    open_store: Callable[[], ObjectStore] = field(repr=False, compare=False)

    @cached_property
    def store(self) -> ObjectStore:
        """Where its objects are."""
        return self.open_store()


class Replicas:
    """All replicas of this deployment; the first is the primary."""

    def __init__(self, *replicas: Replica) -> None:
        self._by_name: Mapping[str, Replica] = {replica.name: replica for replica in replicas}

    def __iter__(self) -> Iterator[Replica]:
        return iter(self._by_name.values())

    @property
    def primary(self) -> Replica:
        """The replica of the cloud in which this system runs."""
        return next(iter(self))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all replicas, the primary's first."""
        return tuple(self._by_name)

    def among(self, names: Container[str]) -> list[Replica]:
        """Return those of the replicas that have one of these names, the primary first.

        The catalog may know names of replicas that the deployment no longer has.
        """
        return [replica for replica in self if replica.name in names]

    def find(self, name: str) -> Replica | None:
        """Return the replica of a name, or None."""
        return self._by_name.get(name)

    def of_bucket(self, bucket: str) -> Replica | None:
        """Return the replica whose main bucket has this name, or None."""
        return next((replica for replica in self if replica.bucket == bucket), None)

    def named(self, name: str) -> Replica:
        """Return the replica of a name. Raises IllegalArguments if there is no such replica."""
        try:
            return self._by_name[name]
        except KeyError:
            raise IllegalArguments(f"replica: {name!r} is not one of {', '.join(self.names)}") from None

    def of_scheme(self, scheme: str) -> Replica:
        """Return the first replica whose objects have URLs of this scheme.

        Raises UnknownSourceSchema if no replica's objects have.
        """
        for replica in self:
            if replica.store.scheme == scheme:
                return replica
        known = ", ".join(f"{replica.store.scheme}://" for replica in self)
        raise UnknownSourceSchema(f"source_url: {scheme!r} is not a supported scheme ({known})")
