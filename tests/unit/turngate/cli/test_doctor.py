"""What the findings of ``turngate doctor`` say."""

from __future__ import annotations

from typing import Any

import pytest

from turngate.cli.doctor.findings import Level, of_access, of_clocks, of_kernel, of_open_files, of_server, of_workers

GOOD: dict[str, Any] = {
    "redis_version": "7.2.4",
    "cluster_enabled": 0,
    "role": "master",
    "maxmemory": 268_435_456,
    "maxmemory_policy": "noeviction",
}


def test_a_server_that_is_right_needs_nothing() -> None:
    found = list(of_server(GOOD))
    assert {finding.level for finding in found} == {Level.OK}
    assert not any(finding.remedy for finding in found)


@pytest.mark.parametrize(
    ("changed", "check", "level", "remedy"),
    [
        ({"redis_version": "6.0.16"}, "Redis version", Level.ERROR, "6.2"),
        ({"redis_version": "unknown"}, "Redis version", Level.ERROR, "6.2"),
        ({"cluster_enabled": 1}, "Redis cluster mode", Level.ERROR, "single server"),
        ({"role": "slave"}, "Redis role", Level.ERROR, "master"),
        ({"maxmemory": 0}, "Redis memory", Level.WARNING, "maxmemory"),
        ({"maxmemory_policy": "allkeys-lru"}, "Redis memory", Level.ERROR, "noeviction"),
    ],
)
def test_a_server_that_is_not_right_is_named_with_what_to_do(
    changed: dict[str, Any], check: str, level: Level, remedy: str
) -> None:
    (finding,) = [finding for finding in of_server(GOOD | changed) if finding.level is not Level.OK]
    assert (finding.check, finding.level) == (check, level)
    assert remedy in finding.remedy


def test_a_server_that_says_nothing_is_not_judged() -> None:
    (finding,) = of_server({})
    assert finding.level is Level.WARNING


@pytest.mark.parametrize(("ahead", "level"), [(0.0, "ok"), (999.0, "ok"), (-1_001.0, "warning"), (5_000.0, "warning")])
def test_clocks_may_differ_by_a_second(ahead: float, level: str) -> None:
    assert of_clocks(ahead).level == level


def test_without_the_compiled_kernel_it_is_said_how_to_get_it() -> None:
    assert of_kernel("compiled").level is Level.OK
    finding = of_kernel("numpy")
    assert finding.level is Level.WARNING
    assert "C compiler" in finding.remedy


@pytest.mark.parametrize(("limit", "level"), [(2_128, "ok"), (2_127, "warning"), (float("inf"), "ok"), (10, "warning")])
def test_a_session_needs_two_open_files(limit: float, level: str) -> None:
    finding = of_open_files(limit, 1_000)
    assert finding.level == level
    assert ("2128" in finding.remedy) == (level == "warning")


@pytest.mark.parametrize(
    ("keys", "reachable", "tokens", "levels"),
    [
        (False, False, False, {"API keys": "ok"}),
        (False, True, False, {"API keys": "warning"}),
        (True, True, False, {"API keys": "ok", "tokens": "warning"}),
        (True, True, True, {"API keys": "ok"}),
    ],
)
@pytest.mark.parametrize("origins", [None, ["https://a.example"]])
def test_who_may_connect(
    keys: bool, reachable: bool, tokens: bool, levels: dict[str, str], origins: list[str] | None
) -> None:
    found = of_access(keys=keys, reachable=reachable, address="0.0.0.0", origins=origins, tokens=tokens)
    assert {finding.check: finding.level for finding in found if finding.check != "origins"} == levels


@pytest.mark.parametrize(
    ("keys", "origins", "level", "found"),
    [
        (False, None, "ok", "of this machine"),
        (True, None, "ok", "with a key"),
        (True, ["*"], "ok", "with a key"),
        (False, ["*"], "warning", "without a key"),
        (False, ["https://a.example"], "ok", "only those"),
        (True, ["https://a.example"], "ok", "only those"),
    ],
)
def test_which_pages_may_connect(keys: bool, origins: list[str] | None, level: str, found: str) -> None:
    findings = of_access(keys=keys, reachable=False, address="127.0.0.1", origins=origins, tokens=True)
    (finding,) = [finding for finding in findings if finding.check == "origins"]
    assert finding.level == level
    assert found in finding.found


@pytest.mark.parametrize(
    ("workers", "cores", "level", "said"),
    [
        (1, 1, Level.OK, "1"),
        (1, 4, Level.OK, "1 of 4 cores are used; TURNGATE_GATEWAY_WORKERS=auto uses all"),
        (4, 4, Level.OK, "4"),
        (4, 1, Level.WARNING, "4, with 1 core to use"),
    ],
)
def test_workers_are_compared_with_cores(workers: int, cores: int, level: Level, said: str) -> None:
    finding = of_workers(workers, cores)
    assert (finding.level, finding.found) == (level, said)
    assert bool(finding.remedy) == (level is not Level.OK)
