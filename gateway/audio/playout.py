"""The pacing clock: how much of what was forwarded the client can have heard.

The upstream makes audio faster than it is spoken, so at any moment the client has some of it still to play. It plays
what comes in the order in which it comes, from the first byte on, in real time, and each item once; where nothing is
left to play it waits. Nothing here exceeds what was forwarded.

This bounds what was heard from above: the way to the client and its own buffering only make it later.

No I/O and no clock: ``now`` is in seconds, any monotonic origin.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

#: Stretches that are remembered; past it the oldest counts as heard. A reply without gaps is one stretch an item.
_MOST_STRETCHES = 64


@dataclass(frozen=True, slots=True)
class Cut:
    """An item that was interrupted: the upstream's copy ends at ``heard_ms`` (milliseconds) now."""

    item_id: str
    heard_ms: int
    #: Of it that was forwarded.
    forwarded_ms: int


@dataclass(slots=True)
class _Stretch:
    """Audio of one item that plays without a gap."""

    item_id: str
    starts: float
    ms: float

    def played(self, now: float) -> float:
        return min(max((now - self.starts) * 1000, 0.0), self.ms)


@dataclass(slots=True)
class _Item:
    #: Of the stretches that are over.
    heard_ms: float = 0.0
    #: The upstream has said that no more of it comes.
    complete: bool = False


class PlayoutClock:
    """What one client plays. Tell it of every piece that is `forwarded`; ask `cut` when the user interrupts."""

    __slots__ = ("_ends", "_items", "_stretches")

    def __init__(self) -> None:
        self._stretches: deque[_Stretch] = deque()
        #: The items that are not heard to their end.
        self._items: dict[str, _Item] = {}
        #: When everything that was forwarded has been played.
        self._ends = float("-inf")

    def forwarded(self, item_id: str, ms: float, now: float) -> None:
        """This much more of an item goes to the client now (milliseconds)."""
        self._pass(now)
        starts = max(now, self._ends)
        self._items.setdefault(item_id, _Item()).complete = False
        if self._stretches and self._stretches[-1].item_id == item_id:
            self._stretches[-1].ms += ms
        else:
            self._stretches.append(_Stretch(item_id, starts, ms))
        self._ends = starts + ms / 1000
        if len(self._stretches) > _MOST_STRETCHES:
            self._finish(self._stretches.popleft())

    def complete(self, item_id: str) -> None:
        """No more of this item comes: once it is played, it cannot be interrupted any more."""
        if (item := self._items.get(item_id)) is not None:
            item.complete = True
            self._forget_if_heard(item_id)

    def cut(self, now: float) -> list[Cut]:
        """The client stops playing now and throws the rest away. Returns the items that it did not hear to their end,
        in the order in which they began; none when nothing was being played."""
        self._pass(now)
        cuts = [
            Cut(
                item_id,
                int(item.heard_ms + sum(stretch.played(now) for stretch in stretches)),
                int(item.heard_ms + sum(stretch.ms for stretch in stretches)),
            )
            for item_id, item in self._items.items()
            for stretches in [[stretch for stretch in self._stretches if stretch.item_id == item_id]]
        ]
        self._stretches.clear()
        self._items.clear()
        self._ends = now
        return cuts

    def _pass(self, now: float) -> None:
        while self._stretches and self._stretches[0].starts + self._stretches[0].ms / 1000 <= now:
            self._finish(self._stretches.popleft())

    def _finish(self, stretch: _Stretch) -> None:
        self._items[stretch.item_id].heard_ms += stretch.ms
        self._forget_if_heard(stretch.item_id)

    def _forget_if_heard(self, item_id: str) -> None:
        if self._items[item_id].complete and all(stretch.item_id != item_id for stretch in self._stretches):
            del self._items[item_id]


def heard_words(words: str, cut: Cut) -> str:
    """The part of an interrupted item's words that can have been heard: words and audio are taken to run evenly, since
    the upstream does not say which word is where. Ends with a whole word."""
    if cut.heard_ms >= cut.forwarded_ms:
        return words.strip()
    end = len(words) * cut.heard_ms // cut.forwarded_ms
    if end < len(words) and not words[end].isspace():
        end = max(words.rfind(" ", 0, end), 0)
    return words[:end].strip()
