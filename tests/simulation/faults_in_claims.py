"""Faults in what becomes of a conversation whose gateway changes (P15): claims, journals, and the owner before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.conversation.journal import ConversationJournal
from gateway.moves import Moves
from gateway.session.claims import Claims
from gateway.turn.requests import Request
from session_state.owners import JournalEntry, OwnersClient
from tests.simulation.faults_in_shells import Fault, script_says
from turngate.protocol.messages import SessionClaimed


def _same_epoch(patch: pytest.MonkeyPatch) -> None:
    claim_of = OwnersClient.claim

    async def claim(self: OwnersClient, keys: Any, gateway: str) -> Any:
        found = await claim_of(self, keys, gateway)
        return None if found is None else replace(found, epoch=found.epoch - 1)

    patch.setattr(OwnersClient, "claim", claim)


def _owner_before_goes_on(patch: pytest.MonkeyPatch) -> None:
    async def give(self: Moves, claimed: SessionClaimed, session: Any) -> None:
        assert self._claims is not None
        await self._claims.give(claimed.session, claimed.epoch, None)

    patch.setattr(Moves, "give", give)


def _nothing_to_add(patch: pytest.MonkeyPatch) -> None:
    give_of = Claims.give

    async def give(self: Claims, session: str, epoch: int, entry: JournalEntry | None) -> None:
        await give_of(self, session, epoch, None)

    patch.setattr(Claims, "give", give)


def _fenced_has_nothing_to_add(patch: pytest.MonkeyPatch) -> None:
    async def fenced(self: Moves, session: Any, entry: JournalEntry) -> None:
        session.leave()

    give_of = Moves.give

    async def give(self: Moves, claimed: SessionClaimed, session: Any) -> None:
        if session is not None and not session.handed_over:
            patch.setattr(Moves, "fenced", fenced_of)
            await give_of(self, claimed, session)
            patch.setattr(Moves, "fenced", fenced)
        else:
            assert self._claims is not None
            await self._claims.give(claimed.session, claimed.epoch, None)

    fenced_of = Moves.fenced
    patch.setattr(Moves, "fenced", fenced)
    patch.setattr(Moves, "give", give)


def _completion_is_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    async def completed(self: Claims, claim: Any) -> bool:
        return True

    patch.setattr(Claims, "_completed", completed)


def _overtaken_gives_up(patch: pytest.MonkeyPatch) -> None:
    claim_of = Claims.claim

    async def claim(self: Claims, keys: Any, **options: Any) -> Any:
        return await claim_of(self, keys, surely=options["surely"])

    patch.setattr(Claims, "claim", claim)


def _requests_are_not_written(patch: pytest.MonkeyPatch) -> None:
    def wanted(self: ConversationJournal) -> list[Request]:
        return []

    patch.setattr(ConversationJournal, "_wanted_requests", wanted)


FAULTS_IN_CLAIMS = (
    Fault(
        "a claim does not tell the owner before",
        script_says("owners.lua", "    tell(before, {", "    tell('nobody', {"),
    ),
    Fault(
        "an entry of the owner before is written after the claim",
        script_says("owners.lua", "entry.epoch < newest", "false"),
        first=1_500,
    ),
    Fault("a claim does not raise the epoch of what is sent", _same_epoch),
    Fault("the owner before goes on", _owner_before_goes_on),
    Fault("the owner before adds nothing", _nothing_to_add),
    Fault("an owner that Redis fences adds nothing", _fenced_has_nothing_to_add, first=3_000),
    Fault("the journal is read before it is complete", _completion_is_not_waited_for),
    Fault("a session that was claimed meanwhile is given up", _overtaken_gives_up),
    Fault("open requests are not written down", _requests_are_not_written),
)
