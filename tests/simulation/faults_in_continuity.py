"""Faults in what becomes of a conversation whose connection to the upstream is lost (P13)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.continuity.recent_audio import RecentAudio
from gateway.continuity.restore import Restore
from gateway.continuity.sent import Sent
from gateway.continuity.transcript import Transcript
from gateway.conversation.failed_replies import FailedReplies
from gateway.conversation.on_client import ClientHandler
from gateway.conversation.roll_over import RollOver
from gateway.conversation.upstream_legs import UpstreamLegs
from gateway.conversation.user_audio import UserAudio
from gateway.conversation.user_turns import UserTurns
from gateway.downlink.downlink import Downlink
from gateway.downlink.reply import LostReply
from gateway.turn.requests import OpenRequests, Request
from gateway.turn.slot_table import TRANSITIONS, Input
from gateway.turn.upstream_config import UpstreamConfig
from tests.simulation.faults_in_shells import Fault
from turngate.protocol.messages import Slot

Items = Iterator[dict[str, Any]]


def _replayed(change: Any) -> Any:
    """Another list of items is replayed."""

    def put_in(patch: pytest.MonkeyPatch) -> None:
        items_of = Transcript.items
        patch.setattr(Transcript, "items", lambda self: iter(change(list(items_of(self)))))

    return put_in


def _without_calls(items: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    return [item for item in items if item["type"] != "function_call"]


def _outputs_first(items: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    return sorted(items, key=lambda item: item["type"] != "function_call_output")


def _without_the_user(items: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    return [item for item in items if item.get("role") != "user"]


def _without_the_newest(items: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    return items[:-1]


def _cut_is_not_noted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Transcript, "cut", lambda self, item_id, heard: None)


def _everything_was_heard(patch: pytest.MonkeyPatch) -> None:
    # What has arrived counts as heard in the transcript, whatever the client was told.
    lost_of = Downlink.lost

    def lost(self: Downlink, now: float) -> tuple[LostReply | None, list[dict[str, Any]]]:
        newest = self.replies.newest
        words = dict(newest.words) if newest is not None else {}
        reply, messages = lost_of(self, now)
        return (None if reply is None else replace(reply, heard=words)), messages

    patch.setattr(Downlink, "lost", lost)


def _asked_again_although_heard(patch: pytest.MonkeyPatch) -> None:
    def lost(self: FailedReplies, reply: LostReply, now: float) -> Request | None:
        return self._ask(self._words, now)

    patch.setattr(FailedReplies, "_ask_for_rest", lost)


def _unheard_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FailedReplies, "_ask_for_rest", lambda self, reply, now: None)


def _in_flight_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    lost_of = UpstreamConfig.lost

    def lost(self: UpstreamConfig) -> None:
        lost_of(self)

    patch.setattr(UpstreamConfig, "lost", lost)


def _create_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    leave_of = UpstreamLegs._leave

    def leave(self: UpstreamLegs, now: float) -> None:
        self._context.turn.pending_create = None
        leave_of(self, now)

    patch.setattr(UpstreamLegs, "_leave", leave)


def _configuration_is_not_restored(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(UpstreamConfig, "restoring", lambda self: {"type": "realtime"})


def _first_configuration_is_restored(patch: pytest.MonkeyPatch) -> None:
    confirm_of = UpstreamConfig.confirm

    def confirm(self: UpstreamConfig, session: dict[str, Any]) -> Any:
        before = self.asked
        update = confirm_of(self, session)
        self.asked = before or self.asked
        return update

    patch.setattr(UpstreamConfig, "confirm", confirm)


def _promise_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    lost_of = UserTurns.lost

    def lost(self: UserTurns, now: float) -> None:
        self._owes_answer = False
        lost_of(self, now)

    patch.setattr(UserTurns, "lost", lost)


def _speech_is_not_sent_again(patch: pytest.MonkeyPatch) -> None:
    take_of = RecentAudio.take

    def take(self: RecentAudio) -> bytes:
        take_of(self)
        return b""

    patch.setattr(RecentAudio, "take", take)
    patch.setattr(UserAudio, "resumed_speech_due", lambda self, now: None)
    patch.setattr(UserAudio, "gap_due", lambda self, now: None)


def _speech_is_announced_again(patch: pytest.MonkeyPatch) -> None:
    lost_of = UserTurns.lost

    def lost(self: UserTurns, now: float) -> None:
        lost_of(self, now)
        self.resumes = False

    patch.setattr(UserTurns, "lost", lost)


def _gap_is_dropped(patch: pytest.MonkeyPatch) -> None:
    keep_of = UserAudio._keep

    def keep(self: UserAudio, audio: bytes) -> bytes | None:
        return b"" if self._context.configured else keep_of(self, audio)

    patch.setattr(UserAudio, "_keep", keep)


def _free_at_once(patch: pytest.MonkeyPatch) -> None:
    for slot in (Slot.IDLE, Slot.PROMISED, Slot.REQUESTED, Slot.ACTIVE):
        patch.setitem(TRANSITIONS[slot], Input.LEG_LOST, Slot.IDLE)


def _items_are_not_waited_for(patch: pytest.MonkeyPatch) -> None:
    configured_of = Restore.configured

    def configured(self: Restore, items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        created = configured_of(self, items)
        self._unacknowledged = set()
        return created[:-2]

    patch.setattr(Restore, "configured", configured)


def _held_items_count_as_sent(patch: pytest.MonkeyPatch) -> None:
    def restored(self: OpenRequests) -> None:
        for request in self._open.values():
            request.unacknowledged.clear()

    patch.setattr(OpenRequests, "restored", restored)


def _greeted_again(patch: pytest.MonkeyPatch) -> None:
    connected_of = UpstreamLegs.connected

    def connected(self: UpstreamLegs, now: float) -> None:
        if self._context.configured and self._client._greeting is None:
            words = [entry.text for entry in self._context.transcript._entries.values() if hasattr(entry, "text")]
            greeting = next((text for text in words if text.startswith("Welcome")), None)
            if greeting is not None and self._context.turn.slot is Slot.RECONNECTING:
                words_again = {"type": "InjectAgentMessage", "message": greeting}
                ClientHandler._accept_response(self._client, words_again, now, exclusive=True, own=True)
        connected_of(self, now)

    patch.setattr(UpstreamLegs, "connected", connected)


def _never_catches_up(patch: pytest.MonkeyPatch) -> None:
    catch_up_of = Restore.catch_up

    def catch_up(self: Restore, items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        return [] if self._there else catch_up_of(self, items)

    patch.setattr(Restore, "catch_up", catch_up)


def _exchanges_at_any_moment(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RollOver, "is_quiet", True)


def _resets_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(UpstreamConfig, "changing", lambda self, before: self.restoring())


def _arrivals_are_ignored(patch: pytest.MonkeyPatch) -> None:
    missed_of = Sent.missed

    def missed(self: Sent, *given: Any) -> list[dict[str, Any]]:
        self._proven = 0
        return missed_of(self, *given)

    patch.setattr(Sent, "missed", missed)


FAULTS_IN_CONTINUITY = (
    Fault("what has arrived is sent again to a client that returns", _arrivals_are_ignored),
    Fault("the next connection does not catch up", _never_catches_up),
    Fault("connections are exchanged at any moment", _exchanges_at_any_moment),
    Fault("what was reset meanwhile is not reset on the next connection", _resets_are_forgotten, first=400),
    Fault("what was interrupted is replayed whole", _cut_is_not_noted),
    Fault("what has arrived is replayed, heard or not", _everything_was_heard),
    Fault("the transcript is replayed without its calls", _replayed(_without_calls)),
    Fault("an output is replayed before its call", _replayed(_outputs_first)),
    Fault("the transcript is replayed without the user", _replayed(_without_the_user)),
    Fault("the newest item is not replayed", _replayed(_without_the_newest)),
    Fault("a reply that was heard is asked for again", _asked_again_although_heard, first=500),
    Fault("a reply of which nothing was heard is forgotten", _unheard_is_forgotten),
    Fault("an update in flight is forgotten with its connection", _in_flight_is_forgotten),
    Fault("a create in flight is forgotten with its connection", _create_is_forgotten),
    Fault("the configuration is not restored", _configuration_is_not_restored),
    Fault("the first configuration is restored, not the last", _first_configuration_is_restored),
    Fault("an answer that was promised is forgotten", _promise_is_forgotten, first=1_300),
    Fault("speech that had begun is not sent again", _speech_is_not_sent_again),
    Fault("speech that goes on is announced again", _speech_is_announced_again),
    Fault("the audio of the gap is dropped", _gap_is_dropped),
    Fault("the turn is free as soon as the connection is lost", _free_at_once),
    Fault("a conversation counts as restored before its items are there", _items_are_not_waited_for),
    Fault("items that were not sent count as restored", _held_items_count_as_sent, first=700),
    Fault("the greeting is spoken again on each connection", _greeted_again),
)
