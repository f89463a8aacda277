"""The configuration that is in force upstream, and the one change that may be on its way.

One ``session.update`` is in flight at a time: the upstream's ``session.updated`` carries no id, so this is the only
way to know what it confirms. What a change means is decided by the translator; here it is completed with what only
this gateway knows: the instructions in force (for text to be appended), what there is to reset, and the fields that can
no longer change.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from turngate.protocol.messages import Configuration
from turngate.protocol.openai.errors import VOICE_LOCKED

#: Errors that say that one field cannot change any more, where ``param`` does not name it.
_FIELD_BY_CODE = {VOICE_LOCKED: "audio.output.voice"}
#: Fields that the upstream changes between responses only.
_BETWEEN_TURNS = {"audio.output.speed"}
#: Errors whose ``param`` names a field that this upstream or this session will never take.
_FIELD_IN_PARAM = {"unknown_parameter"}
#: Never left out: audio in another format than the client's is noise, however well the rest is applied.
_FORMATS = ("audio.input.format", "audio.output.format")
_TURN_DETECTION = "audio.input.turn_detection"
#: What clears a field upstream, or sets it back. Left out where there is nothing to clear.
_RESETS: Mapping[str, Any] = {
    "audio.input.transcription.language": "",
    "audio.input.transcription.languages": [],
    "audio.input.transcription.keywords": [],
    "audio.input.transcription.prompt": "",
    "audio.output.speed": 1.0,
}


@dataclass(frozen=True, slots=True)
class Update:
    """A ``session.update`` in flight."""

    event_id: str
    session: dict[str, Any]
    #: The requests it contains.
    configures: tuple[int, ...]
    sent_at: float


@dataclass(frozen=True, slots=True)
class Prepared:
    """A session object ready to send, and the fields that had to be left out of it."""

    session: dict[str, Any]
    left_out: tuple[str, ...]
    #: How many characters the instructions had before they were truncated; None when they were not.
    truncated_from: int | None = None


class Refused(NamedTuple):
    """What becomes of an update that was refused."""

    update: Update
    #: Its requests wait again; otherwise tell the client.
    again: bool
    #: It met a response that is not announced yet.
    unannounced: bool = False


class UpstreamConfig:
    """What the upstream last confirmed, as far as later changes need it."""

    __slots__ = (
        "_fixed",
        "_met_unannounced",
        "_offered",
        "_prompt_max",
        "_resettable",
        "_sent_functions",
        "confirmed",
        "server_responds",
        "update",
    )

    def __init__(self, prompt_max: int = 0) -> None:
        """``prompt_max``: characters that the instructions may have; 0 leaves it to the upstream."""
        #: The update whose answer is awaited.
        self.update: Update | None = None
        #: Whether the upstream responds by itself when the user's turn ends (its VAD with ``create_response``).
        self.server_responds = True
        self._prompt_max = prompt_max
        #: The full effective configuration, as the upstream last showed it.
        self.confirmed: dict[str, Any] = {}
        #: What there is to reset, by path.
        self._resettable: dict[str, Any] = {}
        #: Names of the functions that the model has; None when that is not known.
        self._offered: frozenset[str] | None = None
        #: Those that we gave it, for a server that does not show them.
        self._sent_functions: frozenset[str] = frozenset()
        self._fixed: set[str] = set()
        self._met_unannounced = False

    def prepare(self, change: Configuration) -> Prepared:
        """Complete a change for sending: append to the instructions in force, truncate them where they are too long,
        leave out what resets nothing and what cannot change any more."""
        session = copy.deepcopy(change.session)
        if change.append_instructions is not None:
            session["instructions"] = append_text(self._instructions(), change.append_instructions)
        length = len(session.get("instructions") or "")
        too_long = 0 < self._prompt_max < length
        if too_long:
            session["instructions"] = session["instructions"][: self._prompt_max]
        self._complete_turn_detection(session)
        for path, reset in _RESETS.items():
            if _get(session, path) == reset and (self._resettable.get(path) or reset) == reset:
                _remove(session, path)
        left_out = tuple(
            path
            for path in sorted(self._fixed)
            if (value := _get(session, path)) is not None
            and not (path.endswith(".voice") and value == _get(self.confirmed, path))
        )
        for path in left_out:
            _remove(session, path)
        session["type"] = "realtime"
        return Prepared(session, left_out, length if too_long else None)

    def _complete_turn_detection(self, session: dict[str, Any]) -> None:
        """A change of turn detection without its ``type`` is one of what is in force; nothing where that is off."""
        change = _get(session, _TURN_DETECTION)
        if not isinstance(change, dict) or "type" in change:
            return
        in_force = _get(self.confirmed, _TURN_DETECTION)
        if isinstance(in_force, dict):
            session["audio"]["input"]["turn_detection"] = in_force | change
        else:
            _remove(session, _TURN_DETECTION)

    def sent(self, update: Update) -> None:
        """This update goes out now; its answer is `confirm` or `refuse`."""
        self.update = update

    def learn(self, session: dict[str, Any]) -> None:
        """This is the full effective configuration: ``session.created`` brings it too."""
        detection = _get(session, _TURN_DETECTION)
        self.server_responds = isinstance(detection, dict) and detection.get("create_response", True) is not False
        self.confirmed = session
        self._resettable = {path: _get(session, path) for path in _RESETS}
        # A stored prompt can bring functions of its own, which are not shown.
        self._offered = None if session.get("prompt") else _functions(session)

    def confirm(self, session: dict[str, Any]) -> Update | None:
        """``session.updated`` came with the full effective configuration. Returns the update that it confirms, if one
        was out."""
        update, self.update = self.update, None
        if session:
            self.learn(session)
        elif update is not None:
            # A server that does not show its configuration has taken what it was sent.
            self.learn(merged(self.confirmed, update.session))
        self._met_unannounced = False
        if update is not None and (sent := _functions(update.session)) is not None:
            self._sent_functions = sent
        return update

    def _instructions(self) -> str:
        instructions = self.confirmed.get("instructions")
        return instructions if isinstance(instructions, str) else ""

    def offers(self, function: str) -> bool:
        """Whether the model has a function of this name, as far as that is known."""
        return self._offered is None or function in self._offered or function in self._sent_functions

    def refuse(self, code: str | None, param: str | None, *, occupied: bool = False) -> Refused:
        """The update in flight (there must be one) got an error. Returns it, and whether it may be tried again: without
        a field that cannot change any more, or after the response that it met unexpectedly. When the turn is not
        ``occupied`` now, that response is not announced yet; it is believed in once."""
        update, self.update = self.update, None
        assert update is not None
        # What is wrong within a list (`tools[0].strict`) says nothing about the field that the list is.
        named = "" if "[" in (param or "") else (param or "").removeprefix("session.")
        if named in _BETWEEN_TURNS and code not in _FIELD_IN_PARAM and (occupied or not self._met_unannounced):
            self._met_unannounced = not occupied
            return Refused(update, again=True, unannounced=not occupied)
        path = _FIELD_BY_CODE.get(code or "", named if code in _FIELD_IN_PARAM else "")
        if path in ("", "type") or _has_format(path) or _get(update.session, path) is None:
            return Refused(update, again=False)
        self._fixed.add(path)
        return Refused(update, again=True)


def merged(session: dict[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """A session object after a partial update: objects are merged, everything else is replaced. An object that says
    another ``type`` than the one before is a new one."""
    result = dict(session)
    for name, value in change.items():
        before = result.get(name)
        if isinstance(value, dict) and isinstance(before, dict):
            same = value.get("type", before.get("type")) == before.get("type")
            result[name] = merged(before, value) if same else value
        else:
            result[name] = value
    return result


def append_text(text: str, addition: str) -> str:
    """Instructions with an addition: a paragraph of its own."""
    return f"{text}\n\n{addition}" if text else addition


def _has_format(path: str) -> bool:
    """Whether this is an audio format, a part of one, or what one is part of."""
    return any(form == path or form.startswith(f"{path}.") or path.startswith(f"{form}.") for form in _FORMATS)


def _functions(session: dict[str, Any]) -> frozenset[str] | None:
    """Names of the functions among a session's tools; None where it does not say."""
    tools = session.get("tools")
    if not isinstance(tools, list):
        return None
    return frozenset(str(tool.get("name")) for tool in tools if isinstance(tool, dict))


def _get(tree: Any, path: str) -> Any:
    for part in path.split("."):
        if not isinstance(tree, dict):
            return None
        tree = tree.get(part)
    return tree


def _remove(tree: dict[str, Any], path: str) -> None:
    *parents, leaf = path.split(".")
    for part in parents:
        tree = tree[part]
    del tree[leaf]
