"""P1: nothing that needs a free turn leaves the gateway while, by what it has been told, the turn is not free.

The judge keeps the turn by itself, from the wire alone: sets of responses that run and of creates without an answer,
and a promise. It shares nothing with the gateway's table.

What the gateway could not know is judged at the upstream: a create may be refused for the race only where the response
in its way was the upstream's own and was not announced to the gateway when the create left.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.simulation.history import Where
from tests.simulation.judge.facts import Facts, Response, is_aside
from tests.simulation.judge.violation import Violation
from tests.simulation.line import TICK

_RACE = "conversation_already_has_active_response"
_FOR_EVER = float("inf")


def check(facts: Facts) -> Iterator[Violation]:
    yield from _at_the_gateway(facts)
    yield from _at_the_upstream(facts)


def _at_the_gateway(facts: Facts) -> Iterator[Violation]:
    grace, reply = facts.outcome.plan.limits.promise, facts.outcome.plan.limits.reply
    # What holds the turn, and until when at most. Where the upstream is well, until its end is told.
    running: dict[str, float] = {}
    unanswered: dict[str, float] = {}
    sent: dict[str, float] = {}
    #: Our cancels, and the responses that they name.
    cancels: dict[str, str | None] = {}
    updating = False
    responds = True
    promised_until = -1.0
    # Audio turns that the gateway itself ends: no response follows those by itself.
    commits: set[str] = set()
    committed = -grace
    idle: str | None = None
    restoring = False
    for at, where, what in facts.outcome.history:
        if where is Where.UPSTREAM_EXCHANGED:
            if (holder := next(_holding(at, running, unanswered), None)) is not None or updating:
                yield Violation("P13", at, f"the connection is exchanged although {holder or 'an update'} is under way")
            running, unanswered, cancels, commits, promised_until = {}, {}, {}, set(), -1.0
        elif where is Where.UPSTREAM_LOST:
            # Nothing of it runs any more. Only what restores the conversation may go, until its configuration is there.
            running, unanswered, cancels, commits = {}, {}, {}, set()
            updating, promised_until, restoring = False, -1.0, True
        elif where is Where.GATEWAY_SENT:
            kind = what["type"]
            if kind == "input_audio_buffer.commit":
                commits.add(what["event_id"])
            elif kind == "response.cancel":
                cancels[what["event_id"]] = what.get("response_id")
            elif kind in ("response.create", "session.update"):
                if restoring and kind == "response.create":
                    yield Violation("P1", at, f"{kind} leaves before the conversation is restored")
                holder = next(_holding(at, running, unanswered), None)
                if holder is not None or at < promised_until:
                    yield Violation("P1", at, f"{kind} leaves although {holder or 'a promised response'} has the turn")
                if kind == "response.create":
                    sent[what["event_id"]], unanswered[what["event_id"]] = at, _FOR_EVER
                else:
                    if updating:
                        yield Violation("P2", at, "a second session.update leaves before the first is answered")
                    updating = True
        elif where is Where.GATEWAY_GOT and not is_aside(what):
            kind = what["type"]
            if kind == "response.created":
                response = what["response"]
                # Whichever ran before is over, though its end may have been lost.
                running = {response["id"]: _FOR_EVER}
                unanswered.pop(_request(response), None)
                # It took the turn before these: they fail, whether that is told or not.
                unanswered = {create: sent[create] + reply for create in unanswered}
                promised_until = -1.0
            elif kind == "response.done":
                running.pop(what["response"]["id"], None)
            elif kind == "session.updated":
                updating = restoring = False
                detection = what["session"]["audio"]["input"]["turn_detection"]
                responds = bool(detection and detection["create_response"])
            elif kind == "input_audio_buffer.timeout_triggered":
                idle = what["item_id"]
            elif kind == "input_audio_buffer.committed":
                # Where the turn is taken, the upstream's own create is the one that fails: no promise.
                taken = any(_holding(at - TICK, running, unanswered))
                if commits:
                    commits.pop()
                    committed = at
                elif at - committed < grace:
                    # Of two turns that end at one time, nobody can tell which one the gateway ended.
                    pass
                elif (responds or what["item_id"] == idle) and not taken:
                    promised_until = at + grace
            elif kind == "error":
                error = what["error"]
                about, raced = error["event_id"], error["code"] == _RACE
                commits.discard(about)
                if about in unanswered or (raced and about is None and len(unanswered) == 1):
                    unanswered = {create: until for create, until in unanswered.items() if about not in (create, None)}
                    if raced and not any(_holding(at, running)):
                        promised_until = at + grace
                elif about in facts.updates:
                    updating = False
                elif about in cancels:
                    # The upstream does not run what was to be cancelled: its end is on its way, or was lost.
                    named = cancels.pop(about)
                    for response_id in running if named is None else running.keys() & {named}:
                        running[response_id] = min(running[response_id], at + grace)
                    if named is None:
                        unanswered = {create: min(until, at + grace) for create, until in unanswered.items()}


def _holding(at: float, *holders: dict[str, float]) -> Iterator[str]:
    return (name for held in holders for name, until in held.items() if at < until)


def _at_the_upstream(facts: Facts) -> Iterator[Violation]:
    in_order = facts.in_order()
    for create in facts.creates.values():
        if create.refused is not None and create.refused["code"] == _RACE and create.received is not None:
            yield from _collided(facts, in_order, "response.create", create.sent, create.received)
    for update in facts.updates.values():
        if update.received is not None:
            yield from _collided(facts, in_order, "session.update", update.sent, update.received)


def _collided(facts: Facts, in_order: list[Response], kind: str, sent: int, received: int) -> Iterator[Violation]:
    for response in in_order:
        if response.began < received and (response.done is None or received < response.done):
            known = response.announced is not None and response.announced < sent
            if response.create is not None or known:
                at = facts.outcome.history[sent].at
                yield Violation("P1", at, f"{kind} meets {response.id} at the upstream, which the gateway knew of")


def _request(response: dict[str, Any]) -> str:
    return str((response["metadata"] or {}).get("turngate", ""))
