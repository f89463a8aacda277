"""The audio of a session that also does exchanges."""

from __future__ import annotations

from picows import WSMsgType

from benchmarks.load.exchange import Exchanges
from benchmarks.load.frames import noise
from benchmarks.load.session import LoadSession, clock


class AudioSource:
    """The audio of one session, for a pacer: from the client always, and from the agent during replies."""

    def __init__(self, session: LoadSession, exchanges: Exchanges, rate: int) -> None:
        self._session = session
        self._exchanges = exchanges
        self._frame = noise(rate)

    def upload(self) -> None:
        session = self._session
        if session.client is not None:
            session.up.send(clock())
            session.client.send(WSMsgType.BINARY, self._frame)

    def download(self) -> None:
        session, frame = self._session, self._exchanges.saying
        if session.upstream is not None and frame is not None:
            session.down.send(clock())
            session.upstream.send(WSMsgType.TEXT, frame)
