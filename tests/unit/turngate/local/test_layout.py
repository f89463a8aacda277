"""The layout of a stack: its processes, their settings, and their order."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from turngate.local.child import Program
from turngate.local.layout import Layout, lay_out

COUNTS = {"translator": 2, "gateway": 1, "session-state": 1}


@pytest.fixture
def picked() -> Iterator[int]:
    return count(20_000)


def programs(laid_out: Layout) -> dict[str, Program]:
    return {program.name: program for stage in laid_out.stages for program in stage}


def test_the_broker_is_first_and_the_gateway_last(picked: Iterator[int]) -> None:
    laid_out = lay_out(COUNTS, {}, server=Path("/usr/bin/redis-server"), pick_port=lambda: next(picked))
    assert [[program.name for program in stage] for stage in laid_out.stages] == [
        ["broker"],
        ["simulator", "session-state-1"],
        ["translator-1", "translator-2"],
        ["gateway-1"],
    ]


def test_every_service_gets_the_brokers_url_and_its_own_port(picked: Iterator[int]) -> None:
    laid_out = lay_out(COUNTS, {}, server=Path("/usr/bin/redis-server"), pick_port=lambda: next(picked))
    found = programs(laid_out)
    broker = found.pop("broker")
    assert laid_out.redis_url == f"redis://{broker.address}/0"
    assert {program.env["TURNGATE_REDIS_URL"] for program in found.values()} == {laid_out.redis_url}
    assert len({program.address for program in found.values()}) == len(found)
    assert laid_out.addresses["translator"] == (found["translator-1"].address, found["translator-2"].address)
    port = found["translator-2"].env["TURNGATE_TRANSLATOR_PORT"]
    assert found["translator-2"].address == f"127.0.0.1:{port}"


def test_several_brokers_are_started_and_every_service_gets_all(picked: Iterator[int]) -> None:
    server = Path("/usr/bin/redis-server")
    laid_out = lay_out(COUNTS, {"broker": 7_000}, server=server, brokers=2, pick_port=lambda: next(picked))
    found = programs(laid_out)
    assert found.pop("broker-1").address == "127.0.0.1:7000"
    assert found.pop("broker-2").address == "127.0.0.1:20000"
    assert laid_out.redis_urls == {"redis-1": "redis://127.0.0.1:7000/0", "redis-2": "redis://127.0.0.1:20000/0"}
    entries = "redis-1=redis://127.0.0.1:7000/0 redis-2=redis://127.0.0.1:20000/0"
    assert {program.env["TURNGATE_REDIS_URLS"] for program in found.values()} == {entries}
    assert {program.env["TURNGATE_REDIS_URL"] for program in found.values()} == {""}, "it would be one too many"


def test_a_given_port_is_used_for_the_first_process_of_a_kind(picked: Iterator[int]) -> None:
    found = programs(
        lay_out(
            {**COUNTS, "gateway": 2},
            {"gateway": 8080, "simulator": 0},
            redis_url="redis://there:6379/0",
            pick_port=lambda: next(picked),
        )
    )
    assert found["gateway-1"].env["TURNGATE_GATEWAY_PORT"] == "8080"
    assert int(found["gateway-2"].env["TURNGATE_GATEWAY_PORT"]) >= 20_000
    assert int(found["simulator"].env["TURNGATE_SIMULATOR_PORT"]) >= 20_000


def test_a_given_broker_is_not_started(picked: Iterator[int]) -> None:
    laid_out = lay_out(COUNTS, {}, redis_url="redis://there:6379/0", pick_port=lambda: next(picked))
    assert "broker" not in programs(laid_out)
    assert laid_out.redis_url == "redis://there:6379/0"


def test_the_gateways_upstream_is_set_only_with_the_simulator(picked: Iterator[int]) -> None:
    url = "redis://there:6379/0"
    simulated = programs(lay_out(COUNTS, {}, redis_url=url, pick_port=lambda: next(picked), pace=0.0))
    assert simulated["gateway-1"].env["TURNGATE_UPSTREAM_URL"] == f"ws://{simulated['simulator'].address}/v1/realtime"
    assert simulated["simulator"].env["TURNGATE_SIMULATOR_PACE"] == "0.0"
    real = programs(lay_out(COUNTS, {}, redis_url=url, simulator=False, pick_port=lambda: next(picked)))
    assert "simulator" not in real
    assert not {"TURNGATE_UPSTREAM_URL", "TURNGATE_OPENAI_API_KEY"} & set(real["gateway-1"].env)


def test_a_gateway_on_a_wildcard_address_is_reached_on_loopback(picked: Iterator[int]) -> None:
    laid_out = lay_out(
        COUNTS, {"gateway": 8080}, redis_url="redis://r/0", gateway_host="0.0.0.0", pick_port=lambda: next(picked)
    )
    gateway = programs(laid_out)["gateway-1"]
    assert gateway.env["TURNGATE_GATEWAY_HOST"] == "0.0.0.0"
    assert gateway.address == "127.0.0.1:8080"
    assert programs(laid_out)["translator-1"].env["TURNGATE_TRANSLATOR_HOST"] == "127.0.0.1"


def test_given_variables_are_passed_to_every_service(picked: Iterator[int]) -> None:
    found = programs(
        lay_out(
            COUNTS, {}, redis_url="redis://r/0", env={"TURNGATE_TURN_OWNER": "gateway"}, pick_port=lambda: next(picked)
        )
    )
    assert {program.env["TURNGATE_TURN_OWNER"] for program in found.values()} == {"gateway"}
