"""The turn record of one session: what the other services are told of its turn and its open requests."""

from __future__ import annotations

from typing import Any

from gateway.conversation.client_legs import ClientLegs
from gateway.conversation.context import Context
from gateway.conversation.on_command import CommandHandler
from gateway.conversation.upstream_legs import UpstreamLegs
from gateway.turn.requests import Kind
from turngate.protocol.messages import TurnRecord


class TurnRecords:
    """Numbers the records, and notes in the context's effects when there is a new one."""

    def __init__(
        self,
        session: str,
        gateway: str,
        epoch: int,
        context: Context,
        translators: CommandHandler,
        upstream_legs: UpstreamLegs,
        client_legs: ClientLegs,
        began_at: float,
    ) -> None:
        """``began_at`` is when the session began, in seconds since 1970."""
        self._session = session
        self._gateway = gateway
        self._epoch = epoch
        self._context = context
        self._translators = translators
        self._upstream_legs = upstream_legs
        self._client_legs = client_legs
        self._began_at_ms = int(began_at * 1000)
        longest = context.limits.session
        self._ends_at_ms = int((began_at + longest) * 1000) if longest else None
        self._version = 0
        self._snapshot: tuple[Any, ...] = ()
        #: The part of it that decides whether session-state can grant something.
        self._permission: tuple[Any, ...] = ()

    def record(self) -> TurnRecord:
        """The current record."""
        context = self._context
        turn, update = context.turn, context.upstream_config.update
        return TurnRecord(
            session=self._session,
            gateway=self._gateway,
            epoch=self._epoch,
            version=self._version,
            slot=turn.slot,
            response_id=turn.response_id,
            response_own=turn.response_own,
            user_speaking=turn.user_speaking,
            open_calls=context.calls.open,
            configuring_seq=max(update.configures) if update is not None else None,
            last_seq=context.requests.last_seq,
            open_configuration=context.requests.open(Kind.CONFIGURATION),
            open_responses=context.requests.open(Kind.RESPONSE),
            decided_release=self._translators.decided_release,
            upstream_legs=self._upstream_legs.count,
            client_legs=self._client_legs.count,
            parked_since_ms=self._client_legs.parked_since_ms,
            usage=context.used.total,
            began_at_ms=self._began_at_ms,
            ends_at_ms=self._ends_at_ms,
            requests_percent=context.requests.percent,
        )

    def note_change(self) -> None:
        """Something has happened: note whether the record is a new one, and whether it is urgent."""
        context = self._context
        turn, update = context.turn, context.upstream_config.update
        snapshot = (
            turn.slot,
            turn.response_id,
            turn.user_speaking,
            context.calls.open,
            update.configures if update is not None else (),
            context.requests.last_seq,
            context.requests.open(Kind.CONFIGURATION),
            context.requests.open(Kind.RESPONSE),
            self._translators.decided_release,
            self._upstream_legs.count,
            self._client_legs.count,
            self._client_legs.parked_since_ms,
        )
        if snapshot != self._snapshot:
            self._snapshot = snapshot
            self._version += 1
            context.out.turn_changed = True
            self._note_urgency()

    def _note_urgency(self) -> None:
        """Mark the record as urgent if an intent at session-state may wait for this change. A request that was just
        accepted is published with the record and needs no mark."""
        context = self._context
        turn = context.turn
        permission = (
            turn.free_for_configuration,
            turn.free_for_response,
            context.upstream_config.update is None,
            context.calls.open,
            context.requests.settled,
            self._translators.decided_release,
        )
        if permission != self._permission:
            self._permission = permission
            if turn.free_for_configuration and context.requests.some_wait:
                context.out.turn_urgent = True
