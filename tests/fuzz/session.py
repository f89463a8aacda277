"""One conversation under anything that its client, its upstream, its translators and time may do to it."""

from __future__ import annotations

from random import Random
from typing import Any

import orjson
import pybase64

from gateway.conversation.conversation import Conversation, Effects, UpstreamProblem
from gateway.conversation.limits import Limits
from gateway.conversation.traces import Tracing
from gateway.dialect import DIALECTS
from tests.fuzz import client_frames, mutations, upstream_events
from tests.fuzz.watcher import Watcher
from tests.tracer import RecordingTracer
from translator.mapping.defaults import Defaults
from translator.mapping.release import merge
from translator.mapping.result import Refusal
from translator.mapping.routes import translate
from turngate.protocol.messages import AddItems, Intent, RefuseRequest, Release
from turngate.protocol.openai.frames import read_frame
from turngate.protocol.openai.server_events import read_audio_delta

#: Steps for which one set of ids is in use.
_EPOCH = 25
#: The shares of upstream events that are changed, and of those that are not quite JSON.
_MUTATED, _UNREADABLE = 0.2, 0.03
#: Milliseconds of a piece of the agent's audio.
_PIECE_MS = 20
_LIMITS = Limits(requests=16, calls=4, silence=300.0, session=5000.0)


class Session:
    """Drive it with `run`; whatever is wrong is an exception."""

    def __init__(self, random: Random, *, judge_every: int = 1) -> None:
        """``judge_every``: of the frames that go out, how many are held against the official SDKs, one in so many."""
        self._random = random
        self.dialect = random.choice(list(DIALECTS.values()))
        self._tracer = RecordingTracer(words=True)
        tracing = Tracing(self._tracer, "api.openai.com", 443, 0.0)
        self.conversation = Conversation("session-0001", "gw", self.dialect, _LIMITS, 0.0, tracing=tracing)
        self._watcher = Watcher(self.conversation, judge_every)
        self._now = 0.0
        self._step = 0
        self._sent: list[str] = []
        self._untranslated: list[int] = []
        self._intents: dict[int, Intent] = {}
        #: Client frames and upstream events that were handed in.
        self.frames = 0

    def run(self, steps: int) -> int:
        """So many steps, or until the session ends; returns the frames that were handed in."""
        random = self._random
        self._upstream({"type": "session.created", "session": {}})
        if random.random() < 0.9:
            self._client(orjson.dumps(client_frames.settings(random)))
        for self._step in range(steps):
            what = random.random()
            if what < 0.35:
                self._client(client_frames.frame(random))
            elif what < 0.75:
                self._upstream(upstream_events.event(random, tuple(self._sent[-4:]), self._step // _EPOCH * 4))
            elif what < 0.8:
                self._agent_audio()
            elif what < 0.85:
                self._user_audio()
            elif what < 0.95:
                self._translators()
            else:
                self._now += random.choice((0.01, 0.5, 4.0, 31.0))
                self.conversation.tick(self._now)
                self._watch()
            if self._watcher.ended:
                break
        self.conversation.upstream_closed(UpstreamProblem("upstream_closed", "gone", 1011), self._now)
        self._watch()
        assert self._tracer.open == [], "every span ends with the session"
        return self.frames

    def _client(self, frame: bytes) -> None:
        self.frames += 1
        place = self._watcher.told
        accepted = self.conversation.context.requests.last_seq
        self.conversation.client_text(frame, self._now)
        out = self._watch()
        self._watcher.client_frame(frame, out, accepted, place)

    def _upstream(self, event: dict[str, Any]) -> None:
        """An event of the upstream, as a frame: as it is, changed, or unreadable."""
        if event.get("type") in ("response.output_audio.delta", "response.audio.delta"):
            return
        random = self._random
        kind = random.random()
        if kind < _UNREADABLE:
            frame = upstream_events.unreadable(random, event)
        elif kind < _UNREADABLE + _MUTATED:
            frame = mutations.frame(random, event)
        else:
            frame = orjson.dumps(event)
        self._upstream_frame(frame)

    def _upstream_frame(self, frame: bytes) -> None:
        self.frames += 1
        self._now += 0.02
        self.conversation.upstream_frame(frame, self._now)
        try:
            self._watch(read_frame(frame))
        except ValueError:
            self._watch()

    def _agent_audio(self) -> None:
        random = self._random
        epoch = self._step // _EPOCH * 4
        response, item = upstream_events.response_id(random, epoch), f"item_{epoch + random.randrange(4)}"
        event = {
            "type": "response.output_audio.delta",
            "response_id": response,
            "item_id": item,
            "delta": pybase64.b64encode_as_string(bytes(48 * _PIECE_MS)),
        }
        if random.random() < 0.1:
            event["delta"] = random.choice(("?", "A", "", event["delta"][:-1]))
        delta = read_audio_delta(orjson.dumps(event))
        if delta is None:
            self._upstream_frame(orjson.dumps(event))
            return
        self.frames += 1
        audio = self.conversation.agent_audio(*delta, self._now)
        out = self._watch(event)
        if delta.pcm:
            forwarded = audio or any(isinstance(one, bytes) for one in out.to_client)
            self._watcher.audio(response, item, _PIECE_MS if forwarded else 0)

    def _user_audio(self) -> None:
        self.frames += 1
        chunk = self._random.choice((bytes(961), b"\x00\x40" * 4800, b"{"))
        self.conversation.client_audio(chunk, self._now)
        self._watch()

    def _translators(self) -> None:
        """What was published is translated, sometimes twice, late, or never; what waits is granted, rightly or not."""
        random = self._random
        if self._untranslated and random.random() < 0.7:
            seq = self._untranslated.pop(random.randrange(len(self._untranslated)))
            if (event := self.conversation.client_event(seq)) is not None:
                try:
                    translation = translate(event, Defaults())
                except Refusal as refusal:
                    answer: AddItems | RefuseRequest = RefuseRequest(
                        session="s", seq=seq, code=refusal.code, description=refusal.description
                    )
                else:
                    answer = AddItems(session="s", seq=seq, items=translation.items, notices=translation.notices)
                    if translation.intent is not None:
                        self._intents[seq] = translation.intent
                self.conversation.command(answer, self._now)
                self._watch()
        open_ = [
            intent for seq, intent in self._intents.items() if self.conversation.context.requests.get(seq) is not None
        ]
        if open_:
            some = tuple(open_ if random.random() < 0.7 else random.sample(open_, random.randint(1, len(open_))))
            self.conversation.command(merge(Release(id="r", session="s", gateway="gw", intents=some)), self._now)
            out = self._watch()
            self._confirm(out)

    def _confirm(self, out: Effects) -> None:
        """Mostly the upstream does as it is asked."""
        for event in out.to_upstream:
            if self._random.random() < 0.2:
                continue
            match event["type"]:
                case "session.update":
                    self._upstream({"type": "session.updated", "session": event["session"]})
                case "conversation.item.create":
                    self._upstream({"type": "conversation.item.added", "item": event["item"]})

    def _watch(self, cause: dict[str, Any] | None = None) -> Effects:
        out = self.conversation.drain()
        self._sent += [event["event_id"] for event in out.to_upstream if "event_id" in event]
        self._untranslated += out.to_publish
        self._watcher.see(out, cause)
        return out
