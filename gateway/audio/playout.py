"""The playout clock: how much of the forwarded audio the client can have played.

The upstream generates audio faster than real time, so the client usually has some of it still to play. The clock
assumes that the client plays audio in the order of arrival, in real time, and waits when there is none.

The result is an upper bound of what was heard: network delay and the client's buffering only make playback later.

No I/O and no clock: ``now`` is in seconds with any monotonic origin.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

#: Maximum number of stored stretches; beyond it the oldest counts as heard. Without gaps, an item is one stretch.
_MOST_STRETCHES = 64


@dataclass(frozen=True, slots=True)
class Cut:
    """An item that was interrupted, to be truncated upstream at ``heard_ms`` milliseconds."""

    item_id: str
    heard_ms: int
    #: Milliseconds of it that were forwarded.
    forwarded_ms: int


@dataclass(slots=True)
class _Stretch:
    """Audio of one item that is played without a gap."""

    item_id: str
    starts: float
    ms: float

    def played(self, now: float) -> float:
        return min(max((now - self.starts) * 1000, 0.0), self.ms)


@dataclass(slots=True)
class _Item:
    #: Milliseconds heard in finished stretches.
    heard_ms: float = 0.0
    #: The upstream has sent all of its audio.
    complete: bool = False


class PlayoutClock:
    """The playback of one client. Call `forwarded` for all audio, and `cut` when the user interrupts."""

    __slots__ = ("_ends", "_items", "_late", "_paused_at", "_stretches", "total_ms")

    def __init__(self) -> None:
        self._stretches: deque[_Stretch] = deque()
        #: The items that have not been played to their end.
        self._items: dict[str, _Item] = {}
        #: When all forwarded audio will have been played, on the clock that stands still while nobody plays.
        self._ends = float("-inf")
        #: How far that clock is behind, in seconds, and since when it stands still.
        self._late = 0.0
        self._paused_at: float | None = None
        #: Milliseconds of audio that were forwarded, from the beginning.
        self.total_ms = 0.0

    def pause(self, now: float) -> None:
        """The client is gone: nothing is played until `resume`."""
        if self._paused_at is None:
            self._paused_at = now

    def resume(self, now: float) -> None:
        """The client is back."""
        if self._paused_at is not None:
            self._late += now - self._paused_at
            self._paused_at = None

    def _clock(self, now: float) -> float:
        return (now if self._paused_at is None else self._paused_at) - self._late

    def forwarded(self, item_id: str, ms: float, now: float) -> None:
        """Record that ``ms`` milliseconds of an item are forwarded to the client now. Runs for every piece of audio."""
        self.total_ms += ms
        if self._late or self._paused_at is not None:
            now = self._clock(now)
        stretches = self._stretches
        if now < self._ends and stretches and (last := stretches[-1]).item_id == item_id:
            # It is played after the audio before it, without a gap.
            last.ms += ms
            self._ends += ms / 1000
            if (item := self._items[item_id]).complete:
                item.complete = False
            return
        self._pass(now)
        starts = max(now, self._ends)
        self._items.setdefault(item_id, _Item()).complete = False
        stretches.append(_Stretch(item_id, starts, ms))
        self._ends = starts + ms / 1000
        if len(stretches) > _MOST_STRETCHES:
            self._finish(stretches.popleft())

    def complete(self, item_id: str) -> None:
        """All audio of this item has been forwarded; once played, it can no longer be interrupted."""
        if (item := self._items.get(item_id)) is not None:
            item.complete = True
            self._forget_if_heard(item_id)

    def ends_at(self, now: float) -> float:
        """When all forwarded audio will have been played; ``now`` if it has."""
        return max(self._ends - self._clock(now), 0.0) + now

    def forwarded_ms(self, item_id: str) -> float:
        """Milliseconds of this item that were forwarded; 0 if it was played to its end, or is unknown."""
        item = self._items.get(item_id)
        if item is None:
            return 0.0
        return item.heard_ms + sum(stretch.ms for stretch in self._stretches if stretch.item_id == item_id)

    def unplayed(self, now: float) -> list[Cut]:
        """The items that are not played to their end now, in order of their start, as `cut` would return them."""
        now = self._clock(now)
        self._pass(now)
        return [
            Cut(
                item_id,
                int(item.heard_ms + sum(stretch.played(now) for stretch in stretches)),
                int(item.heard_ms + sum(stretch.ms for stretch in stretches)),
            )
            for item_id, item in self._items.items()
            for stretches in [[stretch for stretch in self._stretches if stretch.item_id == item_id]]
        ]

    def cut(self, now: float) -> list[Cut]:
        """Stop playback now. Returns the items that were not played to their end, in order of their start."""
        cuts = self.unplayed(now)
        self._stretches.clear()
        self._items.clear()
        self._ends = self._clock(now)
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
    """The part of an interrupted item's text that can have been heard, up to a whole word.

    It is proportional to the part of the audio, since the upstream does not send the positions of words.
    """
    if cut.heard_ms >= cut.forwarded_ms:
        return words.strip()
    return up_to_a_word(words, len(words) * cut.heard_ms // cut.forwarded_ms)


def up_to_a_word(words: str, end: int) -> str:
    """The first ``end`` characters, without a word that is cut in two."""
    if end < len(words) and not words[end].isspace():
        end = max(words.rfind(" ", 0, end), 0)
    return words[:end].strip()
