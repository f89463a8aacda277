"""The event record of a session."""

from __future__ import annotations

import orjson

from tests.unit.turngate.simulator.client import Client, of, sound
from turngate.simulator.behaviour import Behaviour
from turngate.simulator.frames import Event


def entries(client: Client) -> list[Event]:
    found: list[Event] = client.session.record.wire()["entries"]
    return found


def violations(client: Client) -> list[Event]:
    found: list[Event] = client.session.record.wire()["violations"]
    return found


def test_an_entry_shows_the_slot_before_its_event(client: Client) -> None:
    client.ask("hello")
    shown = {
        entry["event"]["type"]: (entry["direction"], entry["slot"]["active_response"]) for entry in entries(client)
    }
    active = of(client.events, "response.created")[0]["response"]["id"]
    assert shown["response.create"] == ("received", None)
    assert shown["response.created"] == ("sent", active)
    assert shown["response.done"] == ("sent", active)
    assert shown["rate_limits.updated"] == ("sent", None)


def test_times_are_those_of_the_conversation(client: Client) -> None:
    client.ask("hello")
    sent = [entry["at"] for entry in entries(client) if entry["direction"] == "sent"]
    assert sent == client.times


def test_out_of_band_responses_are_listed_separately(client: Client) -> None:
    client.send("response.create", response={"conversation": "none"})
    beside = client.until("response.created")["response"]["id"]
    client.say("hello")
    assert entries(client)[-1]["slot"] == {"active_response": None, "out_of_band": [beside]}


def test_user_speaking() -> None:
    client = Client()
    client.configure(audio={"input": {"turn_detection": {"type": "server_vad", "create_response": False}}})
    client.hear(sound(500), sound(300, loud=False))
    speaking = {entry["event"]["type"]: entry["user_speaking"] for entry in entries(client)}
    assert speaking["input_audio_buffer.speech_started"] is False
    assert speaking["input_audio_buffer.speech_stopped"] is True
    assert speaking["input_audio_buffer.committed"] is False


def test_appends_are_merged_and_audio_replaced_by_its_size(client: Client) -> None:
    client.hear(sound(100), sound(100), sound(50))
    client.say("hello")
    client.hear(sound(10))
    appends = [entry for entry in entries(client) if entry["event"]["type"] == "input_audio_buffer.append"]
    assert [(entry.get("count", 1), entry["event"]["audio_bytes"]) for entry in appends] == [(3, 12_000), (1, 480)]
    assert all("audio" not in entry["event"] for entry in appends)


def test_no_audio_is_kept() -> None:
    client = Client()
    item = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": sound(200)}], "id": "mine"}
    client.send("conversation.item.create", item=item)
    client.send("conversation.item.retrieve", item_id="mine")
    client.ask("hello")
    assert len(orjson.dumps(entries(client))) < 20_000
    assert of([entry["event"] for entry in entries(client)], "response.output_audio.delta")[0]["audio_bytes"] == 8_640


def test_unreadable_frames_are_recorded(client: Client) -> None:
    client.frame(b"\x00\x00")
    client.frame("nonsense")
    unreadable = [entry["event"] for entry in entries(client) if "unreadable" in entry["event"]]
    assert unreadable == [
        {"type": None, "unreadable": "invalid_event", "length": 2},
        {"type": None, "unreadable": "invalid_json", "length": 8},
    ]


def test_it_is_bounded_and_counts_dropped_entries() -> None:
    client = Client(Behaviour(record_entries=5))
    client.ask("hello")
    record = client.session.record.wire()
    assert len(record["entries"]) == 5
    assert record["dropped"] > 0


def test_no_entries_but_violations() -> None:
    client = Client(Behaviour(record_entries=0))
    client.hear(sound(20), sound(20))
    client.send("response.create")
    client.send("response.create")
    record = client.session.record.wire()
    assert record["entries"] == []
    assert len(record["violations"]) == 1


class TestViolations:
    def test_a_response_or_an_update_while_one_is_active(self, client: Client) -> None:
        client.send("response.create")
        active = client.session.active_response
        client.send("response.create", event_id="a")
        client.send("session.update", event_id="b", session={"type": "realtime"})
        assert violations(client) == [
            {"at": client.now, "type": "response.create", "event_id": "a", "active_response": active},
            {"at": client.now, "type": "session.update", "event_id": "b", "active_response": active},
        ]

    def test_what_is_not_a_violation(self, client: Client) -> None:
        client.send("session.update", session={"type": "realtime"})
        client.send("response.create")
        client.send("response.create", response={"conversation": "none"})
        client.say("hello")
        client.send("response.cancel")
        client.settle()
        client.ask("again")
        assert violations(client) == []

    def test_while_it_is_cancelled(self, client: Client) -> None:
        client.send("response.create")
        client.until("response.created")
        client.send("response.cancel")
        client.send("response.create")
        assert len(violations(client)) == 1

    def test_a_collision_with_the_servers_own_response_is_a_race_for_a_while(self) -> None:
        client = Client(Behaviour(race_window=0.2))
        client.hear(sound(500), sound(300, loud=False))
        client.until("response.created")
        client.send("response.create")
        client.wait(0.3)
        client.send("response.create")
        assert [violation.get("race") for violation in violations(client)] == ["auto", None]
