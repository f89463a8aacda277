"""What sessions need, and whether the results fit what they were computed from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.scale import costs, results
from benchmarks.scale.calls import CALLS
from benchmarks.scale.costs import EXCHANGE, GATEWAY, KINDS, REDIS, REQUEST, TRANSLATOR, TURN, Check
from benchmarks.scale.needs import audio_bits, need, per_second, predicted
from tests.unit.benchmarks.scale.made_up import COSTS, PLAN, world


def test_ten_times_the_sessions_need_ten_times_as_much() -> None:
    few, many = need(COSTS, CALLS, 10_000), need(COSTS, CALLS, 100_000)
    for kind in KINDS:
        assert many.cores[kind] == pytest.approx(10 * few.cores[kind])
    assert many.client_bits == pytest.approx(10 * few.client_bits)
    assert many.processes[GATEWAY] == pytest.approx(10 * few.processes[GATEWAY], rel=0.01)


def test_no_process_is_busier_than_it_should_be_and_two_translators_run_at_least() -> None:
    found = need(COSTS, CALLS, 100_000)
    assert found.cores[GATEWAY] / found.processes[GATEWAY] <= 0.6
    assert found.cores[REDIS] / found.processes[REDIS] <= 0.5
    assert need(COSTS, CALLS, 1).processes[TRANSLATOR] == 2


def test_with_several_redis_servers_one_that_catches_up_leaves_translators_for_the_others() -> None:
    dear = replace(COSTS.work[REQUEST], cpu={**COSTS.work[REQUEST].cpu, TRANSLATOR: 5e-4})
    costs = replace(COSTS, work={**COSTS.work, REQUEST: dear})
    found = need(costs, CALLS, 100_000)
    # A server whose core is full of requests fills five translators.
    assert found.processes[TRANSLATOR] >= found.cores[TRANSLATOR] + 5
    one = need(costs, CALLS, 200)
    assert (one.processes[REDIS], one.processes[TRANSLATOR]) == (1, 2)


@pytest.mark.parametrize("journals", [False, True])
def test_the_simulation_costs_redis_what_is_computed(journals: bool) -> None:
    made = world(lost_at=None, journals=journals)
    computed = 10 * per_second(COSTS, CALLS, busy=True, journals=journals)[REDIS] * PLAN.sessions
    used = sum(sum(server.station.busy.get(second, 0.0) for second in range(15, 55)) for server in made.servers) / 40
    assert used == pytest.approx(computed, rel=0.1)


def test_journals_cost_redis_time_and_memory() -> None:
    plain, returning = (need(COSTS, CALLS, 100_000, journals=journals) for journals in (False, True))
    assert plain.cores[REDIS] < returning.cores[REDIS]
    assert plain.memory[REDIS] < returning.memory[REDIS]


def test_audio_of_one_session_is_about_a_megabit() -> None:
    client, upstream = audio_bits(CALLS)
    # 16 kHz up, and 24 kHz down for the agent's share: without anything around it.
    assert client > 256e3 + 384e3 * CALLS.spoken
    assert 1.5 * client < upstream < 2.5 * client


def test_a_check_is_predicted_from_its_units() -> None:
    check = Check("", 1, 1.0, {TURN: 3.0, EXCHANGE: 2.0}, {})
    assert predicted(COSTS, check) == pytest.approx(dict.fromkeys(KINDS, 5e-3))


def test_results_of_other_unit_costs_are_out_of_date() -> None:
    measured, simulated = costs.read(), results.read()
    assert results.up_to_date(simulated, measured)
    dearer = replace(measured.work[TURN], cpu={kind: 2 * spent for kind, spent in measured.work[TURN].cpu.items()})
    assert not results.up_to_date(simulated, replace(measured, work={**measured.work, TURN: dearer}))


def test_the_results_are_as_the_page_says() -> None:
    for loss in results.read().losses.values():
        assert loss.asked == loss.executed + loss.ended + loss.open
        before, meanwhile, storm = loss.others_before, loss.others_during, loss.others_after
        assert max(meanwhile.p99, storm.p99) < 1.5 * before.p99, "sessions of other servers feel something"
        assert max(meanwhile.p999, storm.p999) < 1.5 * before.p999
