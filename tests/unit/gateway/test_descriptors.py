"""The limit of open files decides how many sessions a gateway may have."""

from __future__ import annotations

import resource

import pytest
import structlog

from gateway.descriptors import sessions_that_fit


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The limits that were set, the first one being there at the start."""
    history = [(256, 1024)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: history[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: history.append(pair))
    return history


def test_the_soft_limit_is_raised_to_the_hard_one(limits: list[tuple[int, int]]) -> None:
    assert sessions_that_fit(100) == 100
    assert limits[-1] == (1024, 1024)
    sessions_that_fit(100)
    assert len(limits) == 2, "once"


def test_what_does_not_fit_is_said_with_what_to_do(limits: list[tuple[int, int]]) -> None:
    with structlog.testing.capture_logs() as logs:
        assert sessions_that_fit(1000) == 448
    found = [(line["event"], line["sessions"], line["wanted"], line["open_files_needed"]) for line in logs]
    assert found == [("sessions_limited", 448, 1000, 2128)]


def test_a_tiny_limit_leaves_one(limits: list[tuple[int, int]]) -> None:
    limits[0] = (64, 64)
    assert sessions_that_fit(1000) == 1


def test_without_a_limit_all_fit(limits: list[tuple[int, int]]) -> None:
    limits[0] = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    assert sessions_that_fit(100_000) == 100_000
