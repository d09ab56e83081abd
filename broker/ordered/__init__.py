"""A storage over any store that keeps bytes under bytes, in order, and commits durably."""

from broker.ordered.storage import OrderedStorage
from broker.ordered.store import OrderedStore

__all__ = ["OrderedStorage", "OrderedStore"]
