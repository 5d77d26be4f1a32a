"""A directory as an object store: the proof that a store is small to add. No terraform uses it."""

from shared.stores.posix.store import PosixDirectory

__all__ = ["PosixDirectory"]
