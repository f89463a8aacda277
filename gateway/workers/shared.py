"""What the workers of one gateway count together, so that its limits hold for all of them.

It is a file that all of them map into their memory. Each worker has a part, in which only it writes, and reads those of
the others, so that there are no locks: nobody waits for a worker that is slow, or was killed. Two workers that admit a
client within the same microseconds do not see each other's, so that a limit may be exceeded by one per worker then.

A part is two hash tables with open addressing, of rows of 64-bit numbers. The first number of a row is a hash of a
name, or 0. A row is never emptied while its worker runs, but may be given to another name when it counts nothing any
more. A name for which there is no room is counted by the other workers only.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path

from gateway.admission.tallies import Tallies

_ROWS = 8_192
#: Rows that are looked at for one name.
_PROBES = 32
#: Numbers in a row: name, count; and name, window, count in it, count in the window before.
_COUNT_NUMBERS, _RATE_NUMBERS = 2, 4
#: The shortest wait, as a part of a window.
_SHORTEST = 0.001
_PART_NUMBERS = _ROWS * (_COUNT_NUMBERS + _RATE_NUMBERS)
_PART_BYTES = 8 * _PART_NUMBERS


def create(path: Path, parts: int) -> SharedFile:
    """A new file in which nothing is counted, for this number of workers."""
    path.write_bytes(b"")
    os.truncate(path, parts * _PART_BYTES)
    return SharedFile(path)


class SharedFile:
    """The file in this process's memory."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._memory = memoryview(mmap.mmap(file.fileno(), 0))

    def clear(self, worker: int) -> None:
        """Forget what this worker has counted: it does not run."""
        begin = (worker - 1) * _PART_BYTES
        self._memory[begin : begin + _PART_BYTES] = bytes(_PART_BYTES)

    def tallies(self, worker: int, address_rate: float, key_rate: float) -> Tallies:
        """What the worker with this number counts and sees. The rates are per second, of all workers together."""
        numbers = self._memory.cast("Q")
        parts = [numbers[begin : begin + _PART_NUMBERS] for begin in range(0, len(numbers), _PART_NUMBERS)]
        # The own part is the first one.
        parts.insert(0, parts.pop(worker - 1))
        counts = [part[: _ROWS * _COUNT_NUMBERS] for part in parts]
        rates = [part[_ROWS * _COUNT_NUMBERS :] for part in parts]
        return Tallies(
            SharedCounts(counts, "sessions"),
            SharedCounts(counts, "address"),
            SharedCounts(counts, "key"),
            SharedRates(rates, "address", address_rate),
            SharedRates(rates, "key", key_rate),
            SharedRates(rates, "grant", key_rate),
        )


class SharedCounts:
    """Implements `gateway.admission.tallies.Counts`."""

    def __init__(self, parts: list[memoryview[int]], kind: str) -> None:
        """``parts``: the tables of all workers, the own one first."""
        self._parts = parts
        self._kind = kind

    def __getitem__(self, name: str) -> int:
        digest = _digest(self._kind, name)
        rows = ((part, _find(part, _COUNT_NUMBERS, digest)) for part in self._parts)
        return sum(part[row + 1] for part, row in rows if row is not None)

    def more(self, name: str) -> None:
        own, digest = self._parts[0], _digest(self._kind, name)
        row = _find(own, _COUNT_NUMBERS, digest)
        if row is None:
            row = _take(own, _COUNT_NUMBERS, digest, lambda candidate: own[candidate + 1] == 0)
        if row is not None:
            own[row + 1] += 1

    def less(self, name: str) -> None:
        own = self._parts[0]
        row = _find(own, _COUNT_NUMBERS, _digest(self._kind, name))
        if row is not None and own[row + 1]:
            own[row + 1] -= 1


class SharedRates:
    """Implements `gateway.admission.tallies.RateLimit` with a sliding window: what was counted in the window before
    counts as much as is left of it. The clock must be that of all workers."""

    def __init__(self, parts: list[memoryview[int]], kind: str, per_second: float) -> None:
        self._parts = parts
        self._kind = kind
        self._rate = per_second
        self._allowed = max(per_second, 1.0)

    def take(self, name: str, now: float) -> float:
        if not self._rate:
            return 0.0
        # Never 0, which is the window of a row that was not used.
        window, passed = divmod(now * self._rate / self._allowed, 1.0)
        number = int(window) + 1
        digest = _digest(self._kind, name)
        here = before = 0
        for part in self._parts:
            row = _find(part, _RATE_NUMBERS, digest)
            if row is not None:
                current, previous = _counted(part, row, number)
                here, before = here + current, before + previous
        if here + before * (1 - passed) >= self._allowed:
            return self._wait(here, before, passed)
        self._count(digest, number)
        return 0.0

    def _wait(self, here: int, before: int, passed: float) -> float:
        """Seconds until there is room for one more: in this window, when enough of the one before is over, or else in
        the next one, in which this one is the one before."""
        until = 1 - (self._allowed - here) / before if here < self._allowed else 2 - self._allowed / here
        return max(until - passed, _SHORTEST) * self._allowed / self._rate

    def _count(self, digest: int, number: int) -> None:
        own = self._parts[0]
        row = _find(own, _RATE_NUMBERS, digest)
        if row is None:
            row = _take(own, _RATE_NUMBERS, digest, lambda candidate: own[candidate + 1] < number - 1)
        if row is not None:
            current, previous = _counted(own, row, number)
            own[row + 3], own[row + 2], own[row + 1] = previous, current + 1, number


def _counted(part: memoryview[int], row: int, number: int) -> tuple[int, int]:
    """What a row has counted in the window with this number, and in the one before."""
    window = part[row + 1]
    if window == number:
        return part[row + 2], part[row + 3]
    return (0, part[row + 2]) if window == number - 1 else (0, 0)


def _digest(kind: str, name: str) -> int:
    """A hash of this name that is not 0. Not Python's own, which differs by process."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8, person=kind.encode()).digest(), "big") | 1


def _rows(digest: int, numbers: int) -> Iterator[int]:
    """Where the rows begin in which a name may be, in the order of looking."""
    # Without the last bit, which is always set.
    first = digest >> 1
    return ((first + step) % _ROWS * numbers for step in range(_PROBES))


def _find(part: memoryview[int], numbers: int, digest: int) -> int | None:
    """Where the row of a name begins; None if it has none."""
    for row in _rows(digest, numbers):
        if part[row] == digest:
            return row
        if not part[row]:
            return None
    return None


def _take(part: memoryview[int], numbers: int, digest: int, unused: Callable[[int], bool]) -> int | None:
    """A row for a name that has none; None if all that it may have are in use."""
    for row in _rows(digest, numbers):
        if not part[row] or unused(row):
            part[row + 1 : row + numbers] = memoryview(bytes(8 * (numbers - 1))).cast("Q")
            part[row] = digest
            return row
    return None
