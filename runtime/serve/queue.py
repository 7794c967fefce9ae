"""The queue of the service, bounded by a count, and the bytes that it may hold."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

from runtime.serve.refusals import Refusal

Item = TypeVar("Item")

RETRY_AFTER = 5
"""Seconds after which a client that finds the service full may try again."""


class Budget:
    """Bytes that all requests together may hold."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """Bytes that are taken."""
        return self._held

    def take(self, count: int) -> None:
        """Take bytes; `give` gives them back.

        Raises
        ------
        Refusal
            ``saturated``, if there are not as many.
        """
        with self._lock:
            if self._held + count > self._most:
                raise Refusal("saturated", "the service holds as much as it may: try again later", RETRY_AFTER)
            self._held += count

    def give(self, count: int) -> None:
        """Give bytes back."""
        with self._lock:
            self._held -= count


class BoundedQueue(Generic[Item]):
    """First in, first out, for any number of threads; what was taken can be put back at the front."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: deque[Item] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    @property
    def is_full(self) -> bool:
        """Whether `put` would refuse."""
        return len(self._items) >= self._most

    def put(self, item: Item) -> None:
        """Add an item at the end.

        Raises
        ------
        Refusal
            ``saturated``, if the queue is full.
        """
        with self._changed:
            if self.is_full:
                raise Refusal("saturated", "the queue is full: try again later", RETRY_AFTER)
            self._items.append(item)
            self._changed.notify()

    def put_back(self, item: Item) -> None:
        """Put an item at the front, whatever the bound says: it has been admitted before."""
        with self._changed:
            self._items.appendleft(item)
            self._changed.notify()

    def take(self, timeout: float) -> Item | None:
        """Remove and return the first item; wait for one, ``None`` after `timeout` seconds or if it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout)
            return self._items.popleft() if self._items else None

    def remove(self, item: Item) -> bool:
        """Remove an item; return whether it was there."""
        with self._changed:
            try:
                self._items.remove(item)
            except ValueError:
                return False
            return True

    def position(self, item: Item) -> int | None:
        """Return how many items are before this one, or ``None`` if it is not there."""
        with self._changed:
            return self._items.index(item) if item in self._items else None

    def close(self) -> None:
        """Let `take` no longer wait."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
