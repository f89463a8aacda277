"""The simulation of the loss of a Redis server."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.benchmarks.scale.made_up import PLAN, world

_LOST = PLAN.names[0]
_BACK = PLAN.back_at


def waits(made_with: dict[str, Any], *, own: bool) -> list[float]:
    """How long requests of the lost server, or of the others, waited, of those that could have gone during its loss."""
    made = world(**made_with)
    assert PLAN.lost_at is not None
    return [took for name, ready, took in made.waits if (name == _LOST) is own and PLAN.lost_at <= ready < _BACK]


@pytest.mark.parametrize("keeps_data", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_no_request_is_lost_or_done_twice(keeps_data: bool, seed: int) -> None:
    made = world(keeps_data=keeps_data, seed=seed)
    assert made.asked > 1_000
    assert made.asked == made.executed + made.ended + made.open
    assert made.executed == len(made.waits)
    assert all(not request.executed for session in made.sessions for request in session.requests)
    assert all(request.life == session.life for session in made.sessions for request in session.requests)


def test_requests_are_published_again_and_a_second_command_has_no_effect() -> None:
    made = world()
    assert made.again > 20
    assert made.repeated > 0


def test_sessions_of_other_servers_feel_nothing() -> None:
    with_loss, without = waits({}, own=False), waits({"lost_at": None}, own=False)
    assert len(with_loss) > 200
    assert max(with_loss) < 1.2 * max(without)


def test_sessions_of_the_lost_server_wait_until_it_is_back() -> None:
    felt = waits({}, own=True)
    assert max(felt) > 15
    assert max(waits({"lost_at": None}, own=True)) < 1
    first = min(ready + took for name, ready, took in world().waits if name == _LOST and ready > 13)
    assert first >= _BACK


def test_everything_that_waited_goes_within_seconds_of_the_return() -> None:
    made = world()
    late = [one for session in made.sessions for one in session.requests if one.ready and one.ready < _BACK]
    assert not late
    # The patience for what was held, a retransmission, and a pause of the publisher; a reply may come first.
    ends = sorted(ready + took - _BACK for name, ready, took in made.waits if name == _LOST and ready < _BACK)
    assert ends[int(0.9 * len(ends))] < 8


def test_what_was_held_and_is_lost_comes_back_only_because_gateways_ask_again() -> None:
    def forgotten(**how: Any) -> int:
        made = world(seconds=45.0, **how)
        return sum(
            one.answered
            for session in made.sessions
            for one in session.requests
            if session.server.name == _LOST and one.ready is not None and one.ready < _BACK - 5
        )

    assert forgotten() == 0
    assert forgotten(rule="patience", value=1e9) > 0
    assert forgotten(rule="patience", value=1e9, keeps_data=True) == 0, "the sweeper and the records release it"


def test_calls_that_begin_meanwhile_begin_at_the_other_servers() -> None:
    made = world()
    assert made.begun[_LOST] == 0
    assert all(count > 0 for name, count in made.begun.items() if name != _LOST)
    assert any(session.server.name == _LOST for session in made.sessions)


def test_journals_are_written_again_only_at_the_server_that_lost_them() -> None:
    assert world(lost_at=None).rewritten == 0
    made, sessions = world(), PLAN.sessions / PLAN.servers
    assert 0.5 * sessions < made.rewritten < 1.2 * sessions
    assert world(keeps_data=True).rewritten <= made.rewritten


def test_a_seed_gives_the_same_world() -> None:
    again = world.__wrapped__(seed=1)
    assert again.waits == world(seed=1).waits
    assert again.waits != world(seed=2).waits
