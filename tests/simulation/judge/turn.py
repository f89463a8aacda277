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

_RACE = "conversation_already_has_active_response"


def check(facts: Facts) -> Iterator[Violation]:
    yield from _at_the_gateway(facts)
    yield from _at_the_upstream(facts)


def _at_the_gateway(facts: Facts) -> Iterator[Violation]:
    grace = facts.outcome.plan.limits.promise
    running: set[str] = set()
    unanswered: set[str] = set()
    updating = False
    responds = True
    promised_until = -1.0
    # Audio turns that the gateway itself ends: no response follows those by itself.
    commits: set[str] = set()
    idle: str | None = None
    for at, where, what in facts.outcome.history:
        if where is Where.GATEWAY_SENT:
            kind = what["type"]
            if kind == "input_audio_buffer.commit":
                commits.add(what["event_id"])
            elif kind in ("response.create", "session.update"):
                holder = next(iter(running | unanswered), None)
                if holder is not None or at < promised_until:
                    yield Violation("P1", at, f"{kind} leaves although {holder or 'a promised response'} has the turn")
                if kind == "response.create":
                    unanswered.add(what["event_id"])
                else:
                    if updating:
                        yield Violation("P2", at, "a second session.update leaves before the first is answered")
                    updating = True
        elif where is Where.GATEWAY_GOT and not is_aside(what):
            kind = what["type"]
            if kind == "response.created":
                response = what["response"]
                running.add(response["id"])
                unanswered.discard(_request(response))
                promised_until = -1.0
            elif kind == "response.done":
                running.discard(what["response"]["id"])
            elif kind == "session.updated":
                updating = False
                detection = what["session"]["audio"]["input"]["turn_detection"]
                responds = bool(detection and detection["create_response"])
            elif kind == "input_audio_buffer.timeout_triggered":
                idle = what["item_id"]
            elif kind == "input_audio_buffer.committed":
                # Where the turn is taken, the upstream's own create is the one that fails: no promise.
                if commits:
                    commits.pop()
                elif (responds or what["item_id"] == idle) and not running and not unanswered:
                    promised_until = at + grace
            elif kind == "error":
                error = what["error"]
                commits.discard(error["event_id"])
                if error["event_id"] in unanswered:
                    unanswered.discard(error["event_id"])
                    if error["code"] == _RACE and not running:
                        promised_until = at + grace
                elif error["event_id"] in facts.updates:
                    updating = False


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
