"""Restoring a conversation: configuration, then items, then done."""

from __future__ import annotations

from typing import Any

from gateway.continuity.restore import Restore


def item(item_id: str) -> dict[str, Any]:
    return {"id": item_id, "type": "message", "role": "user", "content": []}


def test_configuration_then_items_then_done() -> None:
    restore = Restore("e1")
    assert restore.begin({"type": "realtime"}) == {
        "type": "session.update",
        "event_id": "e1",
        "session": {"type": "realtime"},
    }
    restore.acknowledged("i1")
    assert not restore.done
    events = restore.configured([item("i1"), item("i2")])
    assert [event["event_id"] for event in events] == ["i1", "i2"]
    assert restore.configured([item("i1")]) == [], "a second answer changes nothing"
    restore.acknowledged("i1")
    restore.acknowledged("i1")
    restore.acknowledged(None)
    assert not restore.done
    restore.acknowledged("i2")
    assert restore.done


def test_without_items_it_is_done_with_the_configuration() -> None:
    restore = Restore("e1")
    assert restore.configured([]) == []
    assert restore.done


def test_a_refused_item_is_left_out() -> None:
    restore = Restore("e1")
    restore.configured([item("i1"), item("i2")])
    assert restore.refused("i1", "no")
    assert not restore.refused("i1", "no")
    assert not restore.refused(None, "no")
    restore.acknowledged("i2")
    assert (restore.done, restore.left_out, restore.refusal) == (True, ["i1"], None)


def test_without_its_configuration_it_is_of_no_use() -> None:
    restore = Restore("e1")
    assert restore.refused("e1", "no such voice")
    assert (restore.done, restore.refusal) == (False, "no such voice")
