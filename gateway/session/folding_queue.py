"""A queue of sessions that have something to publish or to write, each place once. What is not urgent waits for a
moment, so that it goes together with others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Source = TypeVar("Source")


class FoldingQueue(Generic[Key, Source]):
    """Places by key, in the order in which they were taken. One task takes from it: wait for `some`, `pop`, and call
    `done` when what was taken is done, or has been added again."""

    def __init__(self, fold: float, limit: int | None = None, dropped: Callable[[], None] = lambda: None) -> None:
        """``fold``: seconds that what is not urgent waits. Beyond ``limit`` places the oldest is dropped, and
        ``dropped`` called."""
        self._fold = fold
        self._limit = limit
        self._dropped = dropped
        self._waiting: dict[Key, Source] = {}
        self._folding: dict[Key, Source] = {}
        self._timer: asyncio.TimerHandle | None = None
        #: Set while something waits.
        self.some = asyncio.Event()
        self._all_done = asyncio.Event()
        self._all_done.set()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._folding)

    def add(self, key: Key, source: Source) -> None:
        """This is urgent. If the place is taken, it is kept, and ``source`` is the one to ask: a session that has come
        back to this gateway takes the places of the one that left."""
        self._folding.pop(key, None)
        if self._limit is not None and len(self._waiting) >= self._limit and key not in self._waiting:
            del self._waiting[next(iter(self._waiting))]
            self._dropped()
        self._waiting[key] = source
        self.some.set()
        self._all_done.clear()

    def put_back(self, key: Key, source: Source) -> None:
        """What was taken could not be done. If the place has been taken again, that source is newer."""
        self.add(key, self._waiting.get(key, self._folding.get(key, source)))

    def fold(self, key: Key, source: Source) -> None:
        """This may wait for others."""
        if key in self._waiting:
            self._waiting[key] = source
            return
        self._folding[key] = source
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._fold, self._unfold)

    def remove(self, key: Key) -> None:
        """Give the place back, if it is taken."""
        self._waiting.pop(key, None)
        self._folding.pop(key, None)

    def pop(self) -> tuple[Key, Source] | None:
        """What has waited longest; None if nothing waits."""
        if not self._waiting:
            self.some.clear()
            return None
        key = next(iter(self._waiting))
        return key, self._waiting.pop(key)

    def done(self) -> None:
        """What was taken is done."""
        if not self._waiting:
            self.some.clear()
            self._all_done.set()

    async def drained(self, timeout: float) -> bool:
        """Return when everything that waits is done, also what is not urgent; False if it is not after ``timeout``
        seconds."""
        self._unfold()
        try:
            async with asyncio.timeout(timeout):
                await self._all_done.wait()
        except TimeoutError:
            return False
        return True

    def _unfold(self) -> None:
        self._timer = None
        folded, self._folding = self._folding, {}
        for key, source in folded.items():
            self.add(key, source)
