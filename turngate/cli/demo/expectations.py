"""What a client must have seen. Each check takes a `Performance` and returns a `Verdict`; `judge` asks them all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from turngate.cli.conversation import describe_error
from turngate.cli.demo.observations import Observation, Performance, Reply, replies
from turngate.cli.demo.script import OPENING, Scene, Step
from turngate.cli.demo.verdict import Verdict, judged
from turngate.cli.demo.wire import WIRE_CHECKS
from turngate.protocol.deepgram.events import ACKNOWLEDGEMENTS


def judge(performance: Performance) -> list[Verdict]:
    """Every expectation of the demo, judged: the client's first, then those that need the upstream's record."""
    return [check(performance) for check in (*CLIENT_CHECKS, *WIRE_CHECKS)]


def settings_applied(performance: Performance) -> Verdict:
    return _acknowledged_once(performance, "Settings")


def prompts_updated(performance: Performance) -> Verdict:
    return _acknowledged_once(performance, "UpdatePrompt")


def one_reply_per_turn(performance: Performance) -> Verdict:
    def problems() -> Iterator[str]:
        for scene, step in _steps(performance):
            found = replies(performance.select(scene, step))
            if len(found) != 1:
                yield f"{_where(scene, step)}: {len(found)} replies"
            elif found[0].ended is None:
                yield f"{_where(scene, step)}: the reply has no AgentAudioDone"

    return judged("every turn of the user got exactly one reply", problems())


def replies_spoken(performance: Performance) -> Verdict:
    def problems() -> Iterator[str]:
        for scene, step in _steps(performance):
            for reply in replies(performance.select(scene, step)):
                if not reply.audio_bytes:
                    yield f"{_where(scene, step)}: no audio"
                if not reply.text:
                    yield f"{_where(scene, step)}: no text"

    return judged("every reply came as text and as audio", problems())


def functions_called(performance: Performance) -> Verdict:
    def problems() -> Iterator[str]:
        for scene, step in _steps(performance):
            expected = sorted(_call(call.name, json.dumps(call.arguments)) for call in step.calls)
            asked = sorted(
                _call(call["name"], call["arguments"])
                for request in _received(performance, scene, step, "FunctionCallRequest")
                for call in request.message["functions"]
            )
            if asked != expected:
                calls = f"{', '.join(asked) or 'no call'} instead of {', '.join(expected) or 'none'}"
                yield f"{_where(scene, step)}: {calls}"

    return judged("functions were called as asked, once each, with the right arguments", problems())


def reply_after_all_results(performance: Performance) -> Verdict:
    def problems() -> Iterator[str]:
        for scene, step, reply in _replies_with_results(performance):
            given = [
                seen.at
                for seen in performance.select(scene, step)
                if seen.source == "sent" and seen.type == "FunctionCallResponse"
            ]
            if len(given) < len(step.calls):
                yield f"{_where(scene, step)}: {len(given)} results for {len(step.calls)} calls"
            elif reply.began < max(given):
                yield f"{_where(scene, step)}: the reply began {max(given) - reply.began:.2f} s before the last result"

    return judged("a reply to function results began after the last of them", problems())


def results_mentioned(performance: Performance) -> Verdict:
    def problems() -> Iterator[str]:
        for scene, step, reply in _replies_with_results(performance):
            for word in step.mentions:
                if word.lower() not in reply.text.lower():
                    yield f"{_where(scene, step)}: no {word!r} in {reply.text!r}"

    return judged("replies to function results mention every result", problems())


def speech_heard(performance: Performance) -> Verdict:
    def problems() -> Iterator[str]:
        for scene, step in _steps(performance):
            if step.recording is None:
                continue
            starts = len(_received(performance, scene, step, "UserStartedSpeaking"))
            words = [
                seen
                for seen in _received(performance, scene, step, "ConversationText")
                if seen.message["role"] == "user"
            ]
            if starts != 1:
                yield f"{_where(scene, step)}: {starts} UserStartedSpeaking"
            if len(words) != 1:
                yield f"{_where(scene, step)}: {len(words)} ConversationText of the user"

    return judged("speech was heard as one turn, and its words came back", problems())


def greeted(performance: Performance) -> Verdict:
    def problems() -> Iterator[str]:
        for scene in performance.script:
            if not scene.greeted:
                continue
            found = replies(seen for seen in performance.select(scene) if seen.step == OPENING)
            if len(found) != 1 or not found[0].text:
                yield f"{scene.name}: {len(found)} greetings"

    return judged("a greeting was said once", problems())


def no_errors(performance: Performance) -> Verdict:
    return judged(
        "the server reported no error",
        (
            f"{seen.scene}, {seen.step}: {describe_error(seen.message)}"
            for seen in performance.observations
            if seen.source == "received" and seen.type == "Error"
        ),
    )


def waiting_was_visible(performance: Performance) -> Verdict:
    expectation = "session-state showed the held requests while they waited"
    if not performance.watched:
        return Verdict(expectation, unchecked="no session-state to ask (--session-state-url)")

    def problems() -> Iterator[str]:
        for scene, step in _steps(performance):
            if step.updates and not any(seen.source == "held" for seen in performance.select(scene, step)):
                yield f"{_where(scene, step)}: it showed nothing"

    return judged(expectation, problems())


CLIENT_CHECKS: tuple[Callable[[Performance], Verdict], ...] = (
    settings_applied,
    prompts_updated,
    one_reply_per_turn,
    replies_spoken,
    functions_called,
    reply_after_all_results,
    results_mentioned,
    speech_heard,
    greeted,
    waiting_was_visible,
    no_errors,
)


def _acknowledged_once(performance: Performance, request: str) -> Verdict:
    acknowledgement = ACKNOWLEDGEMENTS[request]

    def problems() -> Iterator[str]:
        for scene in performance.script:
            seen = performance.select(scene)
            asked = sum(one.source == "sent" and one.type == request for one in seen)
            applied = sum(one.source == "received" and one.type == acknowledgement for one in seen)
            expected = sum(update["type"] == request for update in scene.updates)
            if asked != expected:
                yield f"{scene.name}: {asked} {request} were sent, not {expected}"
            if applied != expected:
                yield f"{scene.name}: {applied} {acknowledgement} for {expected} {request}"

    return judged(f"{acknowledgement} came once per {request}", problems())


def _steps(performance: Performance) -> Iterator[tuple[Scene, Step]]:
    for scene in performance.script:
        for step in scene.steps:
            yield scene, step


def _replies_with_results(performance: Performance) -> Iterator[tuple[Scene, Step, Reply]]:
    for scene, step in _steps(performance):
        if step.calls:
            for reply in replies(performance.select(scene, step)):
                yield scene, step, reply


def _received(performance: Performance, scene: Scene, step: Step, kind: str) -> list[Observation]:
    return [seen for seen in performance.select(scene, step) if seen.source == "received" and seen.type == kind]


def _call(name: str, arguments: str) -> str:
    """A call in one spelling, whatever the order and the spaces of its arguments; not JSON stays as it is."""
    try:
        return f"{name}({json.dumps(json.loads(arguments), sort_keys=True)})"
    except ValueError:
        return f"{name}({arguments})"


def _where(scene: Scene, step: Step) -> str:
    return f"{scene.name}, {step.name}"
