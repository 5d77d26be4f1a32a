"""Kinds of object: file, bundle, collection, and the tombstones of bundles and collections."""

from shared.kinds.base import ObjectKind, PagedKind
from shared.kinds.table import KINDS, find_kind

__all__ = ["KINDS", "ObjectKind", "PagedKind", "find_kind"]
