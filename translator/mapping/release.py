"""Merges the intents of a release into at most one ``session.update`` and at most one ``response.create``.

Configuration is merged field by field, and the later ``seq`` wins; appended text is added to the instructions before
it. An exclusive response (an injected agent message) is never merged with another one: it is sent alone, and
session-state grants the remaining intents again. The rest of a reply that was cut off goes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from turngate.protocol.messages import Configuration, Intent, Release, ResponseRequest, SendRelease


def merge(release: Release, traceparent: str | None = None) -> SendRelease:
    """The command that executes a release; ``traceparent`` is the span in which this happens."""
    intents = sorted(release.intents, key=lambda intent: intent.seq)
    configuring = [intent for intent in intents if intent.configuration is not None]
    responding = _answered_together([intent for intent in intents if intent.response is not None])
    parts = tuple(intent.configuration for intent in configuring if intent.configuration is not None)
    return SendRelease(
        session=release.session,
        epoch=release.epoch,
        release=release.id,
        configuration=merge_configurations(parts) if parts else None,
        configures=tuple(intent.seq for intent in configuring),
        parts=parts if len(parts) > 1 else (),
        response=_merge_responses([i.response for i in responding if i.response]) if responding else None,
        responds=tuple(intent.seq for intent in responding),
        traceparent=traceparent,
    )


def merge_configurations(changes: Sequence[Configuration]) -> Configuration:
    """One configuration with the effect of all of these, applied in order."""
    return reduce(_apply_after, changes)


def _apply_after(first: Configuration, second: Configuration) -> Configuration:
    session = _merge_objects(first.session, second.session)
    if "instructions" in second.session:
        return Configuration(session=session, append_instructions=second.append_instructions)
    addition = second.append_instructions
    if addition is None:
        return Configuration(session=session, append_instructions=first.append_instructions)
    if first.append_instructions is not None:
        addition = f"{first.append_instructions}\n\n{addition}"
    elif first.session.get("instructions") is not None:
        session["instructions"] = f"{first.session['instructions']}\n\n{addition}".lstrip("\n")
        addition = None
    return Configuration(session=session, append_instructions=addition)


#: Objects whose fields depend on each other. A later one replaces the earlier one as a whole.
_WHOLE = {"turn_detection", "tool_choice", "prompt", "format"}


def _merge_objects(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    return first | {key: _merged(key, first[key], value) if key in first else value for key, value in second.items()}


def _merged(key: str, before: Any, value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    # Without its type, turn detection is a change of what there is; where it is off, there is nothing to change.
    if key == "turn_detection" and "type" not in value:
        return None if before is None else before | value
    return _merge_objects(before, value) if isinstance(before, dict) and key not in _WHOLE else value


def _answered_together(responding: list[Intent]) -> list[Intent]:
    first = next((intent for intent in responding if intent.response and intent.response.first), None)
    first = first or (responding[0] if responding else None)
    if first is not None and first.response is not None and first.response.exclusive:
        return [first]
    return [intent for intent in responding if intent.response is not None and not intent.response.exclusive]


def _merge_responses(requests: list[ResponseRequest]) -> ResponseRequest:
    overrides: dict[str, Any] = {}
    for request in requests:
        overrides = _merge_objects(overrides, request.overrides)
    first = requests[0]
    return ResponseRequest(
        overrides=overrides,
        exclusive=first.exclusive,
        interrupts=first.interrupts,
        append_instructions="\n\n".join(filter(None, (request.append_instructions for request in requests))) or None,
    )
