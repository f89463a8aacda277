"""How a client that has lost its connection comes back: to its gateway, or to another one, which claims the session.

The gateway that owned the session completes the journal, or was killed, or cannot reach Redis for a while; or it has
handed the session over before. Claims, journals and commands are the shipped ones, in the weather of the plan.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, cast

from gateway.admission.resume_keys import Returning
from gateway.session.claims import TakenUp
from tests.simulation.gateway import Gateway
from tests.simulation.session import Session, resume_key

if TYPE_CHECKING:
    from gateway.session.session import Session as Shell
    from tests.simulation.line import Line

#: How many clients that return come to another gateway; of these, how many whose gateway hands the session over before
#: they go, whose gateway is killed, and whose gateway is cut off from Redis where that happens at all.
_MOVES, _HANDED_OVER, _KILLED, _CUT_OFF = 0.5, 0.25, 0.4, 0.5
#: How many of these come to a third gateway meanwhile.
_RACES = 0.15
#: Seconds for which a gateway is cut off, and those in which one writes what it has.
_CUT_OFF_FOR, _WRITE = (0.5, 6.0), 2.0


class Returns:
    """The connections of one client to the gateways."""

    def __init__(self, line: Line, gateways: Sequence[Gateway], random: Random) -> None:
        self.away = False
        #: How often the session has moved to another gateway.
        self.moves = 0
        #: The sessions at gateways that were the owner before.
        self.before: list[Session] = []
        self._line = line
        self._gateways = gateways
        self._random = random
        #: What the client wants to say while it is gone.
        self._unsaid: list[Callable[[], None]] = []

    def say(self, what: Callable[[], None]) -> None:
        """The client says something: now, or when it is back."""
        if self.away:
            self._unsaid.append(what)
        else:
            what()

    def leave(self, seconds: float) -> None:
        """The client's connection is lost; it is back after so many seconds."""
        session, random = self._line.session, self._random
        if not session.serves or self.away:
            return
        self.away = True
        moves = random.random() < _MOVES
        if moves and random.random() < _HANDED_OVER and session.conversation.may_move(self._line.now):
            self._line.start(self._hand_over(session, seconds))
        else:
            session.client_lost()
            self._line.start(self._come_back(session, seconds, moves))

    async def _hand_over(self, session: Session, seconds: float) -> None:
        """The gateway hands the session over, and the client is told to connect again."""
        moves = session.gateway.moves
        entry = await moves.let_go(cast("Shell", session))
        if entry is not None:
            self._line.start(moves.keep(entry))
        await asyncio.sleep(seconds)
        await self._come_elsewhere(session)

    async def _come_back(self, session: Session, seconds: float, moves: bool) -> None:
        await asyncio.sleep(seconds)
        random, line = self._random, self._line
        if not moves:
            if session.serves:
                session.client_returned()
            self._is_back()
            return
        alone = session.serves and not session.has_spoken
        if alone and random.random() < _KILLED:
            session.kill()
            if not await self._written(session):
                line.cut_short("its gateway was killed before everything was written")
        elif alone and line.cuts and random.random() < _CUT_OFF and await self._rests(session):
            line.cut_off(session.gateway, random.uniform(*_CUT_OFF_FOR))
            await self._come_elsewhere(session, whole=True)
            return
        await self._come_elsewhere(session)

    async def _rests(self, session: Session) -> bool:
        """Whether everything of the session is written, and nothing is going on: what its gateway does from now on
        changes nothing."""
        return not self._line.going_on() and await self._written(session) and not self._line.going_on()

    async def _written(self, session: Session) -> bool:
        """Write what has changed. Returns whether Redis has it."""
        journals, session.unwritten = session.gateway.journals, False
        journals.changed(session, urgent=True)
        await journals.drain(_WRITE)
        return not (journals.waiting or session.unwritten)

    async def _come_elsewhere(self, session: Session, *, whole: bool = False) -> None:
        """The client comes to another gateway. ``whole``: the journal is whole, although nobody completes it."""
        others = [gateway for gateway in self._gateways if gateway is not session.gateway]
        self._random.shuffle(others)
        claims = [self._claim(session, others[0], whole=whole, stays=True)]
        if len(others) > 1 and self._random.random() < _RACES:
            claims.insert(0, self._claim(session, others[1], whole=whole, stays=False))
        await asyncio.gather(*claims)
        self._is_back()

    async def _claim(self, before: Session, gateway: Gateway, *, whole: bool, stays: bool) -> None:
        """The client comes to this gateway, and ``stays`` or not."""
        line = self._line
        if (killed := gateway.sessions.get(before.name)) is not None and killed.killed:
            # A gateway that is started again knows nothing.
            del gateway.sessions[before.name]
        if stays:
            # It was elsewhere first.
            await asyncio.sleep(self._random.random() * 0.1)
        returning = Returning(session_id=resume_key(before.name), asks=True)
        taken = await gateway.moves.claim(returning, lambda: stays)
        if taken is None:
            if stays and not line.session.closed:
                line.cut_short("another gateway did not find it", unheard=True)
            return
        if line.outcome.cut_short:
            return
        if taken.epoch <= line.session.conversation.epoch:
            # The other gateway was faster, and this one does not know that yet.
            self.before.append(line.detached(gateway, taken))
            return
        spared = line.session is before and (whole or before.killed)
        if not (taken.complete or spared):
            line.cut_short("its journal was not completed", unheard=True)
            return
        self._take_up(gateway, taken, stays=stays)

    def _take_up(self, gateway: Gateway, taken: TakenUp, *, stays: bool) -> None:
        self.moves += 1
        self.before.append(self._line.session)
        self._line.take_up(gateway, taken)
        session = self._line.session
        if stays:
            session.client_returned()
        else:
            session.client_came_and_went()

    def _is_back(self) -> None:
        self.away = False
        unsaid, self._unsaid = self._unsaid, []
        for say in unsaid:
            self.say(say)
