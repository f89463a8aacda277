"""P3 and P4, as far as items and given words are concerned: everything said arrives once, and in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from tests.simulation.judge.facts import Create, Event, Facts, Item, Request
from tests.simulation.judge.violation import Violation
from turngate.simulator.faults import Fault

USER_TURN_ENDED = "UserTurnEnded"
_TIMED_OUT = "did not answer in time"
_NOT_DELIVERED = "could not be delivered"
_NO_FUNCTION = "There is no function of this name"
_INTERRUPTED = "Cancelled: the user interrupted"


@dataclass(slots=True)
class Need:
    """Something that wants a response."""

    what: str
    item: Item
    #: What asked for it; None for the user's audio and for calls that timed out.
    request: Request | None
    is_result: bool = False

    @property
    def place(self) -> int:
        """When it was asked for; a call that timed out counts as the oldest of all."""
        return self.request.place if self.request is not None else self.item.committed or 0

    @property
    def kind(self) -> str:
        """The type of message that an error about it names."""
        if self.request is not None:
            return self.request.kind
        return "FunctionCallResponse" if self.is_result else USER_TURN_ENDED


def check(facts: Facts) -> tuple[list[Violation], list[Need]]:
    """What is wrong, and everything that wants a response."""
    sorting = _Sorting(facts)
    return [*sorting.problems, *_order(facts), *_words(facts)], sorting.needs


class _Sorting:
    """Which item is whose."""

    def __init__(self, facts: Facts) -> None:
        self.needs: list[Need] = []
        self.problems: list[Violation] = []
        self._facts = facts
        self._unexplained: dict[str, Item] = {}
        self._cancelled = {
            call["id"]: place for place, told in facts.of_type("FunctionCallCancelled") for call in told["functions"]
        }
        self._errors = reported(facts)
        self._not_used = [
            message["description"]
            for _, message in facts.of_type("Warning")
            if message["code"] == "UNKNOWN_FUNCTION_CALL"
        ]
        for name, item in facts.items.items():
            self._take(name, item)
        for request in facts.requests:
            if request.accepted and request.kind in ("InjectUserMessage", "FunctionCallResponse"):
                self._explain(request)
        self._explain_the_rest()

    def _take(self, name: str, item: Item) -> None:
        wire = item.item
        if wire["type"] == "audio":
            self.needs.append(Need("spoken turn", item, None))
            return
        if self._facts.item_sends[name] > 1:
            self._problem(item, f"item {name} was sent {self._facts.item_sends[name]} times")
        key = _key(wire)
        if key in self._unexplained:
            self._problem(item, f"two items are about {key!r}")
        self._unexplained[key] = item

    def _explain(self, request: Request) -> None:
        content = str(request.message["content"])
        is_result = request.kind == "FunctionCallResponse"
        key = content.removeprefix("Result ")
        if is_result and self._cancelled.get(key, request.place) < request.place:
            # Nobody wanted it any more, and the client had been told so.
            return
        item = self._unexplained.pop(key, None)
        late = next((text for text in self._unexplained if is_result and text.endswith("\n" + content)), "")
        if is_result and ((item is not None and _in_its_stead(item)) or (item is None and late)):
            # The call was answered in the client's stead before, or that was given up: this is a late result.
            if item is not None:
                self._unexplained[key] = item
            item = self._unexplained.pop(late, None)
            content = late
        arrived = item is not None and item.added is not None
        # A client that was gone is told late that nobody waited for it.
        not_used = any(f" waits for {request.message.get('id')};" in told for told in self._not_used)
        if not (arrived or not_used or self._facts.outcome.cut_short or excused(self._errors, request.kind)):
            self.problems.append(Violation("P3", request.at, f"{request.message} never reached the conversation"))
        if item is not None:
            if is_result and content not in (item.item.get("output"), _key(item.item)):
                self._problem(item, f"another result than {content!r} was sent")
            self.needs.append(Need(content, item, request, is_result and "output" in item.item))

    def _explain_the_rest(self) -> None:
        past = {
            message["content"]
            for request in self._facts.requests
            if request.kind == "Settings"
            for message in (request.message["agent"].get("context") or {}).get("messages", ())
        }
        functions_change = sum(request.kind in ("UpdateThink", "Settings") for request in self._facts.requests) > 1
        # What is in an unreadable end of a response may call what never existed.
        unknown = functions_change or self._facts.outcome.plan.sickness is Fault.DONE_UNREADABLE
        warnings = [message["description"] for _, message in self._facts.of_type("Warning")]
        for key, item in self._unexplained.items():
            output = item.item.get("output", "")
            answered = _in_its_stead(item) or (_NO_FUNCTION in output and unknown)
            told = any(f"({key}) " in warning for warning in warnings)
            if answered and (told or self._facts.outcome.away):
                self.needs.append(Need(f"timeout of {key}", item, None, is_result=True))
            elif key not in past and not (_INTERRUPTED in output and key in self._cancelled):
                self._problem(item, f"item {item.item} was asked for by nobody")

    def _problem(self, item: Item, what: str) -> None:
        self.problems.append(Violation("P3", self._facts.at(item.sent or 0), what))


def _in_its_stead(item: Item) -> bool:
    """Whether the gateway answered this call in the client's stead."""
    output = item.item.get("output", "")
    return _TIMED_OUT in output or _NOT_DELIVERED in output


def _key(wire: Event) -> str:
    """What an item is about: a text, or a call."""
    return str(wire["call_id"] if wire["type"] == "function_call_output" else wire["content"][0]["text"])


def reported(facts: Facts) -> Counter[str]:
    """Errors that settle a request, by the type of message that they name first."""
    return Counter(message["description"].split(" ")[0] for _, message in facts.of_type("Error"))


def excused(errors: Counter[str], kind: str) -> bool:
    """Whether an error is left that settles a request of this kind; it is used up, unless one speaks for all."""
    if kind == USER_TURN_ENDED:
        # One request asks for the answer to every turn that was spoken until then.
        return errors[kind] > 0
    if errors[kind] > 0:
        errors[kind] -= 1
        return True
    return False


def _order(facts: Facts) -> Iterator[Violation]:
    """P4: items reach the upstream in the order in which the client asked for them."""
    texts = {
        str(request.message["content"]): request.place
        for request in facts.requests
        if request.accepted and request.kind in ("InjectUserMessage", "FunctionCallResponse")
    }
    last = -1
    # Dictionaries keep the order in which things were sent.
    for item in (item for item in facts.items.values() if item.sent is not None):
        wire = item.item
        text = wire["output"] if wire["type"] == "function_call_output" else wire["content"][0]["text"]
        asked = texts.get(text)
        if asked is not None:
            if asked < last:
                yield Violation("P4", facts.at(item.sent or 0), f"{text!r} was overtaken by what was asked for later")
            last = max(last, asked)


def _was_interrupted(facts: Facts, request: Request, words: str) -> bool:
    """Whether the response was asked for on a connection that was lost, and another message interrupts it before."""
    sent = next((create.sent for create in facts.creates.values() if create.words == words), None)
    lost = next((place for place in facts.losses if sent is not None and place > sent), None)
    return lost is not None and any(
        other.kind == "InjectAgentMessage"
        and other.message.get("behavior") == "interrupt"
        and request.place < other.place < lost
        for other in facts.requests
    )


def _words(facts: Facts) -> Iterator[Violation]:
    """P3 and P4 for words that the agent is to say: each begins once, in the order of asking."""
    wanted = [
        (request.message["message"], request)
        for request in facts.requests
        if request.accepted and request.kind == "InjectAgentMessage"
    ]
    greetings = {
        request.message["agent"]["greeting"]
        for request in facts.requests
        if request.kind == "Settings"
        and "greeting" in request.message["agent"]
        and "sessionAudioOutput" not in request.message["agent"]
    }
    accepted = [create for create in _accepted(facts) if create.words is not None]
    # What was lost before anything of it was heard is said again; of what was heard, the rest is said.
    lost = {create.words for create in accepted if create.response is not None and create.response.lost}
    begun = _without_failures([create for create in accepted if create.response is None or not create.response.lost])
    said = Counter(create.words for create in begun)
    for words, times in said.items():
        if times > 1:
            yield Violation("P3", 0.0, f"{words!r} was begun {times} times")
    # Words whose response failed had their place.
    order = {create.words: -place for place, create in enumerate(reversed(accepted))}
    errors = reported(facts)
    last = -len(accepted)
    for words, request in wanted:
        place = order.get(words)
        if place is None:
            if facts.outcome.cut_short or _was_interrupted(facts, request, words):
                continue
            if not excused(errors, "InjectAgentMessage"):
                yield Violation("P3", request.at, f"{words!r} was never said, and nobody was told")
        elif place < last:
            yield Violation("P4", request.at, f"{words!r} was said after what was asked for later")
        else:
            last = place
    for words in said.keys() - {words for words, _ in wanted} - greetings:
        if any(whole is not None and whole.endswith(f" {words}") for whole in lost):
            continue
        yield Violation("P3", 0.0, f"{words!r} was said, and nobody asked for it")


def _accepted(facts: Facts) -> list[Create]:
    return [create for create in facts.creates.values() if create.response is not None and not create.response.gave_way]


def _without_failures(accepted: list[Create]) -> list[Create]:
    """Words of which nothing was heard, because the response failed, are asked for again once."""
    again = Counter(create.words for create in accepted)
    return [create for create in accepted if not (again[create.words] == 2 and _failed_first(create, accepted))]


def _failed_first(create: Create, accepted: list[Create]) -> bool:
    first = next(other for other in accepted if other.words == create.words)
    return first is create and create.response is not None and create.response.status == "failed"
