"""The timeline of a demo run: who speaks, when a response is active, and which requests are held and released.

`timeline` merges the client's observations and the upstream's record of one step; `render` formats a line.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace

from rich.text import Text

from turngate.cli.agent_session import describe_error
from turngate.cli.demo.correlation import active_at, active_responses, is_request, request_of, update_with
from turngate.cli.demo.observations import DemoRun, Observation, Reply, UpstreamEvent, UpstreamRecord, replies
from turngate.cli.demo.script import Scenario
from turngate.cli.messages import OUTPUT_RATE, SAMPLE_BYTES
from turngate.protocol.deepgram.events import ACKNOWLEDGEMENTS

_WORDS_WIDTH = 88

_STYLES = {
    "you": "cyan",
    "agent": "green",
    "model": "magenta",
    "function": "magenta",
    "client": "blue",
    "held": "yellow",
    "released": "bold yellow",
    "upstream": "dim",
    "server": "bold blue",
    "warning": "yellow",
    "error": "bold red",
    "fault": "bold red",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the timeline."""

    #: In epoch seconds.
    at: float
    who: str
    words: str
    #: Whether a response was active at this time.
    active: bool = False


def timeline(demo_run: DemoRun, scenario: Scenario, step: str) -> list[Line]:
    """The lines of one step, in order. Without a record, a response counts as active while the client receives it."""
    seen = [one for one in demo_run.select(scenario) if one.step == step]
    if not seen:
        return []
    record = demo_run.records.get(scenario.name)
    lines = [line for one in _folded(seen) for line in _of_client(demo_run, record, one)]
    if record is not None:
        until = min((one.at for one in demo_run.select(scenario) if one.at > seen[-1].at), default=float("inf"))
        for entry in record.entries:
            if seen[0].at <= entry.at < until:
                lines += _of_upstream(demo_run, record, entry)
    heard = replies(seen)
    return [replace(line, active=_active(record, heard, line.at)) for line in sorted(lines, key=lambda line: line.at)]


def render(line: Line, start: float) -> Text:
    """One line for a terminal: seconds since ``start``, a bar while a response is active, the speaker and the text."""
    bar = ("┃", "bold red") if line.active else (" ", "")
    style = _STYLES.get(line.who, "")
    return Text.assemble((f"{line.at - start:7.2f} ", "dim"), bar, (f" {line.who:>8}  ", style), line.words)


def _folded(seen: list[Observation]) -> Iterator[Observation]:
    """The observations without audio frames; the end of a reply contains the total bytes of its audio instead."""
    heard = 0
    for one in seen:
        if one.source == "heard":
            heard += one.message["bytes"]
        elif one.type == "AgentAudioDone":
            yield replace(one, message=one.message | {"bytes": heard})
            heard = 0
        else:
            yield one


def _of_client(demo_run: DemoRun, record: UpstreamRecord | None, one: Observation) -> Iterator[Line]:
    message = one.message
    if one.source == "speech":
        yield Line(one.at, "you", message["description"])
    elif one.source in {"fault", "notice"}:
        yield Line(one.at, "fault" if one.source == "fault" else "client", message["description"])
    elif one.source == "held":
        kinds = ", ".join(f"{held['kind']} #{held['seq']}" for held in message["held"])
        yield Line(one.at, "held", f"session-state shows {kinds} waiting")
    elif one.source == "sent":
        yield from _sent(record, one)
    else:
        yield from _received(demo_run, one)


def _sent(record: UpstreamRecord | None, one: Observation) -> Iterator[Line]:
    message = one.message
    match one.type:
        case "InjectUserMessage":
            yield Line(one.at, "you", _quoted(message["content"]))
        case "FunctionCallResponse":
            yield Line(one.at, "function", f"{message['name']} answers {message['content']}")
        case "UpdatePrompt":
            yield Line(one.at, "client", f"UpdatePrompt {_quoted(message['prompt'])}{_held_note(record, one)}")
        case "Settings":
            yield Line(one.at, "client", f"Settings{_held_note(record, one)}")


def _held_note(record: UpstreamRecord | None, request: Observation) -> str:
    return ", to be held: a response is active" if record and active_at(record, request.at) else ""


def _received(demo_run: DemoRun, one: Observation) -> Iterator[Line]:
    message = one.message
    match one.type:
        case "ConversationText" if message["role"] == "assistant":
            yield Line(one.at, "agent", _quoted(message["content"]))
        case "ConversationText" if not _was_typed(demo_run, one):
            yield Line(one.at, "you", _quoted(message["content"]))
        case "UserStartedSpeaking":
            yield Line(one.at, "server", "UserStartedSpeaking")
        case "FunctionCallRequest":
            for call in message["functions"]:
                yield Line(one.at, "agent", f"calls {call['name']} {call['arguments']}")
        case "AgentAudioDone" if message["bytes"]:
            yield Line(one.at, "agent", f"sent {message['bytes'] / SAMPLE_BYTES / OUTPUT_RATE:.1f} s of audio")
        case "Warning" | "Error" as kind:
            yield Line(one.at, kind.lower(), describe_error(message))
        case kind if kind in ACKNOWLEDGEMENTS.values():
            yield Line(one.at, "server", f"{kind}{_since_request(demo_run, one)}")


def _of_upstream(demo_run: DemoRun, record: UpstreamRecord, entry: UpstreamEvent) -> Iterator[Line]:
    match entry.type:
        case "response.created":
            yield Line(entry.at, "model", "response begins")
        case "response.done":
            response = entry.event["response"]
            began = {active.id: active.began for active in active_responses(record)}.get(response["id"], entry.at)
            yield Line(entry.at, "model", f"response done ({response['status']}, {entry.at - began:.2f} s)")
        case "session.update":
            yield _update(demo_run, record, entry)
        case "session.updated" | "error":
            yield Line(entry.at, "upstream", entry.type)


def _update(demo_run: DemoRun, record: UpstreamRecord, entry: UpstreamEvent) -> Line:
    """A ``session.update`` with the requests it contains and how long they were held."""
    carried = [one for one in demo_run.observations if is_request(one) and update_with(record, one) == entry]
    names = " and ".join(one.type for one in carried) or "no request"
    waited = [one for one in carried if active_at(record, one.at)]
    if not waited:
        return Line(entry.at, "upstream", f"session.update with {names}")
    held = ", ".join(f"{entry.at - one.at:.2f} s" for one in waited)
    ended = max((one.ended for one in active_responses(record) if one.ended and one.ended <= entry.at), default=None)
    after = f", {(entry.at - ended) * 1000:.0f} ms after the response's end" if ended is not None else ""
    return Line(entry.at, "released", f"session.update with {names}: held {held}{after}")


def _active(record: UpstreamRecord | None, heard: list[Reply], at: float) -> bool:
    if record is not None:
        return active_at(record, at) is not None
    return any(reply.began <= at and (reply.ended is None or at < reply.ended) for reply in heard)


def _since_request(demo_run: DemoRun, acknowledgement: Observation) -> str:
    """The time since the client sent the acknowledged request."""
    request = request_of(demo_run, acknowledgement)
    return f", {acknowledgement.at - request.at:.2f} s after the request" if request else ""


def _was_typed(demo_run: DemoRun, echo: Observation) -> bool:
    """Whether this `ConversationText` of the user repeats a text message instead of speech."""
    return any(
        one.source == "sent" and one.scenario == echo.scenario and one.message.get("content") == echo.message["content"]
        for one in demo_run.observations
    )


def _quoted(words: str) -> str:
    return f"“{textwrap.shorten(words, _WORDS_WIDTH, placeholder=' …')}”"
