"""`advance.lua` in Python: the same rules, for reading, for simulation, and as the measure for the script's tests.

Pure: the session's state and the time go in, the outcome comes out, and the state is changed in place.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from turngate.protocol.messages import Intent, Slot, TurnRecord


@dataclass(slots=True)
class Held:
    """An intent that waits, and since when (ms)."""

    intent: Intent
    since: int


@dataclass(slots=True)
class Outstanding:
    """A release that was granted and does not show in the record yet."""

    id: str
    until: int
    seqs: tuple[int, ...]


@dataclass(slots=True)
class SessionState:
    """One session's keys."""

    turn: TurnRecord | None = None
    held: dict[int, Held] = field(default_factory=dict)
    release: Outstanding | None = None
    #: When the sweeper should look at it (ms); None when nothing waits.
    look_again: int | None = None


@dataclass(frozen=True, slots=True)
class Advance:
    """What one step came to: ``outcome`` as in the script, and the intents of the release if one was granted."""

    outcome: str
    granted: tuple[Intent, ...] = ()
    #: Some of them were granted before, in a release whose lease has ended.
    again: bool = False


def advance(
    state: SessionState,
    now: int,
    *,
    record: TurnRecord | None = None,
    intent: Intent | None = None,
    lease: int,
    release_id: str,
    most: int,
    most_bytes: int = 2**31,
) -> Advance:
    """Take in what is new, then grant what may go. Times in ms."""
    if record is not None and (state.turn is None or record.version > state.turn.version):
        state.turn = record
    turn = state.turn
    if turn is None:
        state.look_again = None
        return Advance("unknown")
    if turn.slot is Slot.CLOSED:
        state.held.clear()
        state.release = state.look_again = None
        return Advance("settled")

    for seq in [seq for seq in state.held if _settled(turn, seq)]:
        del state.held[seq]
    taken = intent is not None and not _settled(turn, intent.seq)
    if taken and intent is not None and intent.seq not in state.held:
        held_bytes = sum(_bytes(held.intent) for held in state.held.values())
        if len(state.held) >= most or (state.held and held_bytes + _bytes(intent) > most_bytes):
            return Advance("full")
        state.held[intent.seq] = Held(intent, now)

    free = turn.slot in (Slot.IDLE, Slot.UNCONFIGURED)
    lost = state.release.seqs if state.release is not None and now >= state.release.until else ()
    if state.release is not None and not (free and _outstanding(turn, state.release, now)):
        state.release = None
    granted = _grant(state, turn) if free and state.release is None else ()
    if granted:
        state.release = Outstanding(release_id, now + lease, tuple(intent.seq for intent in granted))
        outcome = "granted"
    elif taken or (intent is None and state.held):
        outcome = "held"
    else:
        outcome = "idle" if intent is None else "settled"
    if state.held:
        state.look_again = state.release.until if state.release is not None else now + lease
    else:
        state.look_again = None
    return Advance(outcome, granted, any(intent.seq in lost for intent in granted))


def _bytes(intent: Intent) -> int:
    return len(intent.model_dump_json().encode())


def _open(turn: TurnRecord) -> list[int]:
    return sorted((*turn.open_configuration, *turn.open_responses))


def _settled(turn: TurnRecord, seq: int) -> bool:
    return seq <= turn.last_seq and seq not in turn.open_configuration and seq not in turn.open_responses


def _on_its_way(turn: TurnRecord, seq: int) -> bool:
    return seq in turn.open_configuration and turn.configuring_seq is not None and seq <= turn.configuring_seq


def _outstanding(turn: TurnRecord, release: Outstanding, now: int) -> bool:
    if now >= release.until or turn.decided_release == release.id:
        return False
    return any(not _settled(turn, seq) and not _on_its_way(turn, seq) for seq in release.seqs)


def _grant(state: SessionState, turn: TurnRecord) -> tuple[Intent, ...]:
    within_reach: list[Intent] = []
    for seq in _open(turn):
        if _on_its_way(turn, seq):
            continue
        held = state.held.get(seq)
        if held is None or (held.intent.configuration is not None and turn.configuring_seq is not None):
            # It is on its way to us, or has to wait for another; nothing may overtake it.
            break
        within_reach.append(held.intent)
    # A result that this release cannot bring may not have reached the upstream when the release is sent.
    answered = {call for intent in within_reach for call in intent.answers}
    calls_open = any(call not in answered for call in turn.open_calls)
    granted: list[Intent] = []
    silence_awaited = False
    for intent in within_reach:
        if intent.response is None:
            granted.append(intent)
        elif turn.slot is Slot.IDLE and not (intent.answers and calls_open):
            # What interrupts the user interrupts nobody who was here before.
            silence_awaited |= turn.user_speaking and not intent.response.interrupts
            if not silence_awaited:
                granted.append(intent)
    return tuple(granted)
