"""P5 to P7, and P12: every request is answered, once, by a response that knows what it has to.

The measure is the upstream's own conversation: a request is answered by the first response of the default conversation
that was accepted when the request's item was already there. One that says given words answers nobody.

Two cases are ambiguous by nature, and both are judged as the gateway can know them:
1. An item that enters the conversation while a response is accepted but not announced yet. The upstream's events look
   the same whether the response knows the item or not. Leaving somebody unanswered is worse than a response too many,
   so asking again is right: such a request stays *open to the gateway* until a response begins that surely knows it.
   A response surely knows an item that was sent before its create, or (for the upstream's own) that was known to be
   there when the audio turn was committed which it answers.
2. A response that answers what another has just answered, because both were on their way. It is superfluous, and the
   gateway has to cancel it as soon as it is announced; that it may come to its end all the same is nobody's fault.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from tests.simulation.judge.configuration import Timeline
from tests.simulation.judge.facts import Create, Facts, Item, Response, Update
from tests.simulation.judge.items import USER_TURN_ENDED, Need, excused, reported
from tests.simulation.judge.violation import Violation
from turngate.simulator.faults import Fault

#: Where a response begins about when its create is given up, or its end is lost, asking again is right.
_ASKED_AGAIN = (Fault.LATE_CREATED, Fault.DONE_MISSING, Fault.CREATED_THEN_SILENCE, Fault.CANCEL_UNANSWERED)


def check(facts: Facts, needs: list[Need], timeline: Timeline | None) -> Iterator[Violation]:
    """Walk through the responses as they began."""
    called_off = list(_called_off(facts))
    unanswered = [
        need
        for need in needs
        if need.item.added is not None and not any(_open_at(place, need, {}) for place in called_off)
    ]
    to_gateway = list(needs)
    # The place at which the gateway learnt of the answer to each need.
    told: dict[int, int] = {}
    failed = False
    # Replies that were lost with their connection, and turns that were promised an answer: asked for again.
    owed = 0
    # No response was asked for since a connection was lost: the next one may be for such a reply.
    just_lost = False
    losses = sorted([*facts.losses, *(place for place, _ in facts.exchanges)])
    repeats = facts.outcome.plan.sickness in _ASKED_AGAIN
    # What replies were to answer that were lost, until one is not.
    asked_again: list[Need] = []
    for response in facts.in_order():
        if response.over_user and not response.cancelled and response.over is not None:
            yield Violation("P12", facts.at(response.announced or 0), f"{response.id} speaks over the user")
        while losses and losses[0] < response.began:
            # A turn that was promised an answer, and a reply that ran.
            losses.pop(0)
            owed += 2
            just_lost = True
        if response.gave_way:
            continue
        create = response.create
        if create is not None:
            needed = any(_before(need.item.added, response.began) for need in to_gateway)
            superfluous = create.words is None and not needed and not response.cancelled
            if superfluous and owed:
                owed -= 1
            elif superfluous and response.status == "completed" and not repeats:
                yield Violation("P6", facts.at(response.began), f"{response.id} answers nobody")
            # What it was asked for is what was open when it was asked for.
            open_then = [need for need in needs if _open_at(create.sent, need, told)]
            # A reply that failed is asked for again on behalf of those that it was to answer.
            again = (failed or create.goes_on or just_lost) and create.words is None
            just_lost &= create.words is not None
            if create.words is None and open_then and not again and all(need.is_result for need in open_then):
                yield from _joined(facts, response, create, open_then)
            if timeline is not None:
                # The answer to what a lost reply was to answer, of which nothing was said, is as old as that.
                yield from _configured(facts, create, open_then + ([] if create.goes_on else asked_again), timeline)
            if create.words is not None:
                continue
        failed = not response.answers
        if not response.lost:
            asked_again.clear()
        if not response.lost or response.heard or _goes_on(facts, response):
            unanswered = [need for need in unanswered if not _before(need.item.added, response.began)]
        if response.lost and response.heard and create is None:
            # The upstream's own, of whose end nothing came, which the client was told: all that was committed before it
            # was announced is over for the gateway, too.
            unanswered = [need for need in unanswered if not _before(need.item.committed, response.announced or 0)]
        for need in [need for need in to_gateway if _surely_knows(facts, response, need.item)]:
            to_gateway.remove(need)
            # What a response failed to answer is asked for again.
            if response.announced is not None and response.answers:
                told[id(need)] = response.announced
                if response.lost:
                    asked_again.append(need)
    if facts.outcome.cut_short:
        return
    errors = reported(facts)
    for need in unanswered:
        # What a lost reply was to answer is asked for as a user's turn.
        if not excused(errors, need.kind) and not (facts.losses and excused(errors, USER_TURN_ENDED)):
            yield Violation("P6", facts.at(need.item.added or 0), f"{need.what!r} was never answered")


def _called_off(facts: Facts) -> Iterator[int]:
    """Where creates left whose responses were called off by a message that interrupts, before they began, and which
    were lost with their connection."""
    interrupting = [
        request.place
        for request in facts.requests
        if request.kind == "InjectAgentMessage" and request.message["behavior"] == "interrupt" and request.accepted
    ]
    for create in facts.creates.values():
        loss = next((loss for loss in facts.losses if create.sent < loss), None)
        if loss is None or _before(create.announced, loss) or _before(create.refused_at, loss):
            continue
        if any(create.sent < place < loss for place in interrupting):
            yield create.sent


def _open_at(place: int, need: Need, told: dict[int, int]) -> bool:
    item = need.item
    there = _before(item.sent, place) or _before(item.committed, place)
    return there and place < told.get(id(need), place + 1)


def _before(place: int | None, other: int) -> bool:
    return place is not None and place < other


def _surely_knows(facts: Facts, response: Response, item: Item) -> bool:
    create = response.create
    if create is not None:
        return _before(item.sent, create.sent) or _before(item.known, create.sent)
    if response.announced is None or not _before(item.added, response.began):
        return False
    earlier = bisect_left(facts.commits, response.announced)
    if not earlier:
        return False
    commit = facts.commits[earlier - 1]
    return _before(item.known, commit) or item.committed == commit


def _goes_on(facts: Facts, response: Response) -> bool:
    """Whether it has called functions, whose results are there: they want an answer from now on."""
    results = {item.item["call_id"] for item in facts.items.values() if item.item["type"] == "function_call_output"}
    return bool(response.calls) and response.calls <= results


def _is_open(facts: Facts, update: Update, at: float) -> bool:
    """Whether the update, which was sent, was not confirmed at that time."""
    return update.confirmed is None or facts.at(update.confirmed) > at


def _joined(facts: Facts, response: Response, create: Create, known: list[Need]) -> Iterator[Violation]:
    """P7: a response that only function results ask for knows the results of all calls that were asked together."""
    delivered = {
        item.item["call_id"]: item.sent
        for item in facts.items.values()
        if item.item["type"] == "function_call_output" and item.sent is not None
    }
    # A result that was taken and never got there is an error, and judged as one.
    taken = {request.message["content"] for request in facts.requests if request.kind == "FunctionCallResponse"}
    results = {need.item.item["call_id"] for need in known}
    together = {call for other in facts.responses.values() if other.calls & results for call in other.calls}
    for place, message in facts.of_type("FunctionCallRequest"):
        for call in message["functions"]:
            # A result that is given up is replaced by an error afterwards.
            lost = call["id"] not in delivered and f"Result {call['id']}" in taken
            abandoned = facts.outcome.plan.gives_up or lost
            if call["id"] not in together or abandoned or place > create.sent:
                continue
            if not _before(delivered.get(call["id"]), create.sent):
                yield Violation("P7", facts.at(response.began), f"{response.id} does not wait for call {call['id']}")


def _configured(facts: Facts, create: Create, known: list[Need], timeline: Timeline) -> Iterator[Violation]:
    """P5: what was asked for before all that this response answers is in force for it.

    For given words that is what they were asked for with; for other responses the oldest request counts, since nobody
    outside knows for which of several the response was made. In good weather more is known: whatever the services had
    time to hear of goes first.

    An update that was refused, and is tried again without the field that was in the way, is nobody's fault.
    """
    if create.words is not None:
        asked = [
            request.place
            for request in facts.requests
            if request.kind == "InjectAgentMessage" and request.message["message"] == create.words
        ]
    else:
        asked = [need.place for need in known]
        if create.goes_on and asked:
            # It was asked for when the connection was lost, and answers what has come since then too.
            asked += [place for place in facts.losses if place < create.sent][-1:]
    before = facts.at(create.sent)
    plan = facts.outcome.plan
    unhurried = before - 0.1 - 30 * plan.hop if plan.calm else -1.0
    if any(update.sent < create.sent and _is_open(facts, update, unhurried) for update in facts.updates.values()):
        # No other update can go with it, and what is asked for before that one does not wait.
        unhurried = -1.0
    for request in timeline.missing(create.sent):
        late = bool(asked) and request.place < min(asked)
        # What Redis forgets is sent again one by one, and a response may be faster than an update.
        forgotten = any(request.at < start < before for start, _ in plan.weather.outages)
        if (late or request.at < unhurried) and not forgotten and not _tried(facts, request.place, create.sent):
            yield Violation("P5", before, f"a response is asked for before {request.message} is in force")


def _tried(facts: Facts, after: int, before: int) -> bool:
    tried = (update for update in facts.updates.values() if after < update.sent < before)
    return any(update.refused is not None or update.lost for update in tried)
