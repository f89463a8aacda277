"""The start and stop order of a stack, and failures of its processes, with fake services."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from turngate.local import stack as stack_module
from turngate.local.child import Program
from turngate.local.layout import Layout, answers
from turngate.local.ports import free_port, is_free
from turngate.local.stack import Stack, StackError, translators_for

FAKE_SERVICE = str(Path(__file__).with_name("fake_service.py"))
Stages = list[list[tuple[int, str]]]


@pytest.mark.parametrize(("cores", "translators"), [(1, 1), (2, 1), (4, 2), (7, 3), (64, 4)])
def test_a_machine_with_few_cores_has_few_translators(cores: int, translators: int) -> None:
    assert translators_for(cores) == translators


class Journal:
    """The lines written by fake services when they started and ended."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


@pytest.fixture
def fake_service(monkeypatch: pytest.MonkeyPatch, journal: Journal) -> Callable[[Stages], None]:
    """Make the next stack consist of fake services: stages of (port, mode)."""

    def use(stages: Stages) -> None:
        env = {"TURNGATE_TEST_JOURNAL": str(journal.path)}
        laid_out = Layout(
            tuple(
                tuple(
                    Program(
                        str(port),
                        (sys.executable, FAKE_SERVICE, str(port), mode),
                        answers(f"127.0.0.1:{port}", "/ready"),
                        env=env,
                    )
                    for port, mode in stage
                )
                for stage in stages
            ),
            {"redis": "redis://nowhere/0"},
            {},
            {},
        )
        monkeypatch.setattr(stack_module, "lay_out", lambda *_, **__: laid_out)

    return use


async def test_all_start_together_and_stages_stop_in_reverse(
    fake_service: Callable[[Stages], None], journal: Journal
) -> None:
    first, second, third = free_port(), free_port(), free_port()
    fake_service([[(first, "good")], [(second, "good")], [(third, "good")]])
    async with Stack():
        assert sorted(journal.lines()) == sorted(f"starts {port}" for port in (first, second, third))
    assert journal.lines()[3:] == [f"ends {port}" for port in (third, second, first)]


async def test_a_failing_process_stops_the_others(fake_service: Callable[[Stages], None]) -> None:
    first, good, bad, other = free_port(), free_port(), free_port(), free_port()
    fake_service([[(first, "good")], [(good, "good"), (bad, "fails")], [(other, "good")]])
    with pytest.raises(StackError) as failure:
        async with Stack():
            raise AssertionError("the stack must not become ready")
    assert str(failure.value) == f"{bad} stopped while starting (exit 1): TURNGATE_FAKE_SERVICE: told to fail"
    assert all(is_free(port) for port in (first, good, bad, other))


async def test_until_given_up_returns_the_process(fake_service: Callable[[Stages], None]) -> None:
    good, dying = free_port(), free_port()
    fake_service([[(good, "good"), (dying, "good")]])
    async with Stack(restarts=False) as stack, asyncio.timeout(20):
        stack.processes[str(dying)].kill()
        assert await stack.until_given_up() == str(dying)


async def test_processes_are_not_restarted_after_kill(fake_service: Callable[[Stages], None], journal: Journal) -> None:
    ports = [free_port(), free_port()]
    fake_service([[(ports[0], "good")], [(ports[1], "good")]])
    async with Stack() as stack:
        stack.kill()
    assert len(journal.lines()) == 2
    assert all(is_free(port) for port in ports)
