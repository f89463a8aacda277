"""When and how a client returns whose connection is lost. No I/O and no clock: ``now`` is in seconds, any origin."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from urllib.parse import urlencode

from turngate.cli.messages import Message

#: Seconds: the first and the longest pause between two attempts, and for how long to try. A server keeps a conversation
#: for `TURNGATE_RESUME_WINDOW_MS`, which is a minute.
FIRST_PAUSE, LONGEST_PAUSE, WINDOW = 0.25, 5.0, 60.0
#: Bytes of audio that are kept meanwhile: ten seconds at 16 kHz.
AUDIO_MAX = 320_000
#: A normal end, and another connection of the same client.
_FINAL = frozenset({1000, 1008})
#: The server goes away; another one may answer.
_GOING_AWAY = 1012


class Over(Enum):
    """Why a client does not try again."""

    #: The server has ended the conversation, or cannot resume it.
    ENDED = "ended"
    #: The server could not be reached for so long that it has forgotten the conversation.
    WINDOW = "window"


class Resumption:
    """What one client knows of its conversation. Pass it every message that it receives."""

    def __init__(self, chance: Callable[[], float]) -> None:
        """``chance`` returns a number between 0 and 1, for the length of pauses."""
        self._chance = chance
        self._handle: str | None = None
        self._received = 0
        self._lost_at: float | None = None
        self._pause = FIRST_PAUSE
        #: The newest message was an error, which says why the server ends the conversation.
        self._refused = False

    @property
    def query(self) -> str:
        """What to add to the URL of the next connection, without ``?``."""
        if self._handle is None:
            return "resumable=1"
        return urlencode({"resume": self._handle, "received": self._received})

    def message(self, message: Message) -> bool | None:
        """A message was received. For the ``Welcome`` of a client that returns: whether the conversation goes on, or a
        new one has begun; None for everything else."""
        kind = message.get("type")
        self._refused = kind == "Error"
        if kind != "Welcome":
            self._received += 1
            return None
        returned, resumed = self._handle is not None, message.get("resumed") is True
        self._handle = message.get("resume")
        if not resumed:
            # The Welcome of a return is not counted.
            self._received = 1
        self._lost_at, self._pause = None, FIRST_PAUSE
        return resumed if returned else None

    @property
    def away(self) -> bool:
        """The connection was lost, and no other one has been welcomed since."""
        return self._lost_at is not None

    def lost(self, code: int | None, now: float) -> float | Over:
        """The connection has ended, with this close code, or none. Returns after how many seconds to connect again, or
        why that is of no use."""
        if self._handle is None or code in _FINAL or (self._refused and code != _GOING_AWAY):
            return Over.ENDED
        return self.failed(now)

    def failed(self, now: float) -> float | Over:
        """No connection could be made. Returns what `lost` does."""
        if self._lost_at is None:
            self._lost_at = now
        if now - self._lost_at > WINDOW:
            return Over.WINDOW
        pause = self._pause * (0.5 + self._chance() / 2)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        return pause


class Unsent:
    """What the client wants to say while there is no connection, in order. Of the audio, the newest is kept."""

    def __init__(self) -> None:
        self._frames: deque[str | bytes] = deque()
        self._audio = 0

    def add(self, frame: str | bytes) -> None:
        """Keep a message, or audio."""
        self._frames.append(frame)
        if isinstance(frame, bytes):
            self._audio += len(frame)
        while self._audio > AUDIO_MAX:
            oldest = next(frame for frame in self._frames if isinstance(frame, bytes))
            self._frames.remove(oldest)
            self._audio -= len(oldest)

    def put_back(self, frame: str | bytes) -> None:
        """Say this first."""
        self._frames.appendleft(frame)
        self._audio += len(frame) if isinstance(frame, bytes) else 0

    def take(self) -> str | bytes | None:
        """The oldest of it; None if there is nothing."""
        if not self._frames:
            return None
        frame = self._frames.popleft()
        self._audio -= len(frame) if isinstance(frame, bytes) else 0
        return frame
