"""A worker's share of the gateway's limits."""

from __future__ import annotations

from gateway.config import GatewaySettings
from gateway.workers.place import Place, share_of


def place(number: int, workers: int = 3) -> Place:
    return Place(number, workers, "127.0.0.1", 8080, "/run/1.sock", "/run/counts")


def test_a_place_is_the_same_after_it_was_passed_on() -> None:
    assert Place.of_text(place(2).to_text()) == place(2)


def test_what_all_hold_together_is_divided() -> None:
    settings = GatewaySettings(parked_max=10, sessions_max_bytes=9_000)
    shares = [share_of(settings, place(number)) for number in (1, 2, 3)]
    assert [one.parked_max for one in shares] == [4, 3, 3]
    assert [one.sessions_max_bytes for one in shares] == [3_000] * 3


def test_no_limit_stays_none_and_none_may_hold_at_least_one() -> None:
    settings = GatewaySettings(parked_max=1, sessions_max_bytes=0)
    shares = [share_of(settings, place(number)) for number in (1, 2)]
    assert [one.parked_max for one in shares] == [1, 1]
    assert [one.sessions_max_bytes for one in shares] == [0, 0]


def test_one_that_replaces_another_has_a_share_of_the_same_size() -> None:
    settings = GatewaySettings(parked_max=10)
    assert share_of(settings, place(4)).parked_max == share_of(settings, place(1)).parked_max


def test_what_is_counted_together_is_not_divided() -> None:
    settings = GatewaySettings(sessions_max=7, address_sessions_max=2, key_connects_per_second=1.5)
    share = share_of(settings, place(1))
    assert (share.sessions_max, share.address_sessions_max, share.key_connects_per_second) == (7, 2, 1.5)
    assert share.workers == 3


def test_they_listen_where_the_supervisor_does() -> None:
    share = share_of(GatewaySettings(gateway_port=0), place(1))
    assert (share.gateway_host, share.gateway_port) == ("127.0.0.1", 8080)


def test_each_start_has_a_name_of_its_own() -> None:
    settings = GatewaySettings(gateway_id="g" * 64)
    names = {share_of(settings, place(number)).gateway_id for number in (1, 1, 2)}
    assert len(names) == 3
    assert all(len(name) == 64 and name.startswith("ggg") for name in names)
    own = GatewaySettings()
    assert share_of(own, place(1)).gateway_id == own.gateway_id
