"""How calls are divided between servers, and the loss of gateways."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.scale.calls import CALLS
from benchmarks.scale.gateway_loss import DIAL, RETURNS, lose
from benchmarks.scale.occupancy import occupancy
from benchmarks.scale.placement import placed
from benchmarks.scale.prices import prices, rules
from tests.unit.benchmarks.scale.made_up import COSTS

_NAMES = [f"redis-{number}" for number in range(1, 5)]


def test_sessions_are_divided_evenly_and_only_those_of_a_lost_server_move() -> None:
    before = {f"call-{number}": placed(f"call-{number}", _NAMES) for number in range(8_000)}
    for name in _NAMES:
        assert 1_850 < sum(server == name for server in before.values()) < 2_150
    after = {call: placed(call, _NAMES[1:]) for call in before}
    assert all(after[call] == server for call, server in before.items() if server != _NAMES[0])
    moved = [after[call] for call, server in before.items() if server == _NAMES[0]]
    assert all(moved.count(name) > 500 for name in _NAMES[1:])


def test_calls_go_elsewhere_while_a_server_is_away_and_are_even_again_later() -> None:
    found = occupancy(CALLS, 8_000, _NAMES, away=240.0, seconds=1_800.0, step=60.0)
    assert {sum(counts) for counts in found} == {8_000}
    assert found[0][0] == pytest.approx(2_000, rel=0.08)
    # After one mean length, the share 1/e of its calls is left.
    assert found[4][0] == pytest.approx(2_000 / 2.718, rel=0.15)
    assert found[-1][0] == pytest.approx(2_000, rel=0.08)


def test_every_session_of_a_lost_gateway_is_restored_once() -> None:
    found = lose(900, 50, 4, 0.5, prices(COSTS, journals=True), rules())
    assert found.sessions == 900
    least = RETURNS[0] + rules().claim_wait + DIAL
    assert least < found.p50 < found.p99 <= found.last < RETURNS[1] + rules().claim_wait + DIAL + 1
    assert 900 / (RETURNS[1] - RETURNS[0]) <= found.claims < 300
    assert found.dials <= found.claims * 1.5


def test_few_gateways_that_take_up_many_sessions_are_slow() -> None:
    costs = replace(prices(COSTS, journals=True), taken_up=0.02)
    assert lose(900, 2, 4, 0.5, costs, rules()).last > 2 * lose(900, 50, 4, 0.5, costs, rules()).last
