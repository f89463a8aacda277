"""The configuration confirmed by the upstream, and the update in flight.

At most one ``session.update`` is in flight, because ``session.updated`` contains no id that tells which update it
confirms. The translator determines a change; this module completes it with what only the gateway knows: the current
instructions (for text to append), the fields to reset, and the fields that can no longer change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from gateway.timers import Timer, Timers
from turngate.protocol.messages import Configuration
from turngate.protocol.openai.errors import VOICE_LOCKED

#: Fields that can no longer change, by error code, for errors whose ``param`` does not name the field.
_FIELD_BY_CODE = {VOICE_LOCKED: "audio.output.voice"}
#: Fields that the upstream accepts only between responses.
_BETWEEN_TURNS = {"audio.output.speed"}
#: Errors whose ``param`` names a field that the upstream does not accept in this session.
_FIELD_IN_PARAM = {"unknown_parameter"}
#: Never omitted: with another audio format the audio would be noise.
_FORMATS = ("audio.input.format", "audio.output.format")
_TURN_DETECTION = "audio.input.turn_detection"
#: The values that reset a field upstream. They are omitted if the field is not set.
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
    """A session object ready to send, and the fields that were omitted from it."""

    session: dict[str, Any]
    left_out: tuple[str, ...]
    #: The length of the instructions before truncation in characters; None if they were not truncated.
    truncated_from: int | None = None
    #: The instructions are full: nothing of the text to append fits.
    full: bool = False


class Refused(NamedTuple):
    """How to handle an update that was refused."""

    update: Update
    #: True: its requests wait again. False: report the error to the client.
    again: bool
    #: True if it collided with a response whose ``response.created`` has not arrived.
    unannounced: bool = False


class UpstreamConfig:
    """The parts of the confirmed configuration that later changes depend on."""

    __slots__ = (
        "_fixed",
        "_met_unannounced",
        "_offered",
        "_prompt_max",
        "_reply",
        "_resettable",
        "_sent_functions",
        "_timers",
        "asked",
        "confirmed",
        "server_responds",
        "update",
        "user_interrupts",
    )

    def __init__(self, prompt_max: int = 0, timers: Timers | None = None, reply: float = 15.0) -> None:
        """``prompt_max``: maximum length of the instructions in characters; 0 for the upstream's limit. ``timers`` is
        due when an update has not been answered for ``reply`` seconds."""
        self._timers = timers or Timers()
        self._reply = reply
        #: The update in flight.
        self.update: Update | None = None
        #: Whether the upstream responds automatically when the user's turn ends (VAD with ``create_response``).
        self.server_responds = True
        #: Whether the user's speech ends a response (``interrupt_response``).
        self.user_interrupts = True
        self._prompt_max = prompt_max
        #: The complete effective configuration that the upstream last sent.
        self.confirmed: dict[str, Any] = {}
        #: All confirmed updates together.
        self.asked: dict[str, Any] = {}
        #: The current values of the fields that can be reset, by path.
        self._resettable: dict[str, Any] = {}
        #: Names of the functions that the model has; None if unknown.
        self._offered: frozenset[str] | None = None
        #: Names of the functions that we sent, for a server that does not return them.
        self._sent_functions: frozenset[str] = frozenset()
        self._fixed: set[str] = set()
        self._met_unannounced = False

    def prepare(self, change: Configuration) -> Prepared:
        """Complete a change for sending: append to the current instructions, truncate them if they are too long, and
        omit resets of unset fields and fields that can no longer change."""
        session = _copied(change.session)
        if change.append_instructions is not None:
            session["instructions"] = append_text(self._instructions(), change.append_instructions)
        length = len(session.get("instructions") or "")
        too_long = 0 < self._prompt_max < length
        full = False
        if too_long:
            session["instructions"] = session["instructions"][: self._prompt_max]
            full = change.append_instructions is not None and session["instructions"] == self._instructions()
            if full:
                del session["instructions"]
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
        return Prepared(session, left_out, length if too_long else None, full)

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
        """Call when sending this update; its answer is passed to `confirm` or `refuse`."""
        self.update = update
        self._timers.set(Timer.UPDATE, update.sent_at + self._reply)

    def learn(self, session: dict[str, Any]) -> None:
        """Store the complete effective configuration, from ``session.updated`` or ``session.created``."""
        detection = _get(session, _TURN_DETECTION)
        self.server_responds = isinstance(detection, dict) and detection.get("create_response", True) is not False
        self.user_interrupts = not isinstance(detection, dict) or detection.get("interrupt_response") is not False
        self.confirmed = session
        self._resettable = {path: _get(session, path) for path in _RESETS}
        # A stored prompt can define functions that the session object does not contain.
        self._offered = None if session.get("prompt") else _functions(session)

    def confirm(self, session: dict[str, Any]) -> Update | None:
        """Process ``session.updated`` with the complete effective configuration. Returns the update that it confirms,
        if one was in flight."""
        update = self._answered()
        if session:
            self.learn(session)
        elif update is not None:
            # A server that does not show its configuration has taken what it was sent.
            self.learn(merged(self.confirmed, update.session))
        self._met_unannounced = False
        if update is not None:
            self.asked = merged(self.asked, update.session)
            if (sent := _functions(update.session)) is not None:
                self._sent_functions = sent
        return update

    def journaled(self) -> dict[str, Any]:
        """What is in force, for `take_up`."""
        return {"confirmed": self.confirmed, "asked": self.asked, "fixed": sorted(self._fixed)}

    def take_up(self, journaled: Mapping[str, Any]) -> None:
        """Have the configuration that another gateway has confirmed."""
        self.learn(journaled["confirmed"])
        self.asked = journaled["asked"]
        self._sent_functions = _functions(self.asked) or frozenset()
        self._fixed = set(journaled["fixed"])

    def restoring(self) -> dict[str, Any]:
        """The session object that brings a new session to the configuration in force."""
        session: dict[str, Any] = _copied(self.asked)
        for path, reset in _RESETS.items():
            if _get(session, path) == reset:
                _remove(session, path)
        return session

    def changing(self, before: dict[str, Any]) -> dict[str, Any]:
        """The session object that brings a session with what `restoring` returned ``before`` to the configuration in
        force."""
        session = self.restoring()
        for path, reset in _RESETS.items():
            if _get(before, path) is not None and _get(session, path) is None:
                _set(session, path, reset)
        return session

    def lost(self) -> Update | None:
        """The upstream's connection is lost. Returns the update that was in flight: it was not confirmed. What the
        session no longer accepted, a new one may."""
        self._fixed.discard(_FIELD_BY_CODE[VOICE_LOCKED])
        self._met_unannounced = False
        return self._answered()

    def _answered(self) -> Update | None:
        self._timers.clear(Timer.UPDATE)
        update, self.update = self.update, None
        return update

    def _instructions(self) -> str:
        instructions = self.confirmed.get("instructions")
        return instructions if isinstance(instructions, str) else ""

    def with_instructions(self, addition: str) -> str:
        """The instructions in force, and this paragraph."""
        return append_text(self._instructions(), addition)

    def offers(self, function: str) -> bool:
        """Whether the model has a function with this name; True if unknown."""
        return self._offered is None or function in self._offered or function in self._sent_functions

    def refuse(self, code: str | None, param: str | None, *, occupied: bool = False) -> Refused:
        """The update in flight (there must be one) was refused. Returns it, and whether to try it again: without a
        field that can no longer change, or after the response with which it collided. If the slot is not ``occupied``
        now, that response has not been announced; this is assumed only once in a row."""
        update = self._answered()
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
    """Append a paragraph to instructions."""
    return f"{text}\n\n{addition}" if text else addition


def _has_format(path: str) -> bool:
    """Whether this path is an audio format, a part of one, or contains one."""
    return any(form == path or form.startswith(f"{path}.") or path.startswith(f"{form}.") for form in _FORMATS)


def _functions(session: dict[str, Any]) -> frozenset[str] | None:
    """The names of the functions among a session's tools; None if the session object has no tools."""
    tools = session.get("tools")
    if not isinstance(tools, list):
        return None
    return frozenset(str(tool.get("name")) for tool in tools if isinstance(tool, dict))


def _copied(value: Any) -> Any:
    """A copy of a JSON value, down to the last object and list. `copy.deepcopy` takes many times as long."""
    if isinstance(value, dict):
        return {name: _copied(part) for name, part in value.items()}
    return [_copied(part) for part in value] if isinstance(value, list) else value


def _get(tree: Any, path: str) -> Any:
    for part in path.split("."):
        if not isinstance(tree, dict):
            return None
        tree = tree.get(part)
    return tree


def _set(tree: dict[str, Any], path: str, value: Any) -> None:
    *parents, leaf = path.split(".")
    for part in parents:
        tree = tree.setdefault(part, {})
    tree[leaf] = value


def _remove(tree: dict[str, Any], path: str) -> None:
    *parents, leaf = path.split(".")
    for part in parents:
        tree = tree[part]
    del tree[leaf]
