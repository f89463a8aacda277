"""The rules for Prometheus and the dashboards for Grafana: they are valid, alerts fire when they should, they name
metrics that exist, and a real Prometheus gets these from a real stack and understands every expression."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.programs import needs, path_in_test
from tools.docs.dashboards import DASHBOARDS, FOLDER
from turngate.local.ports import free_port
from turngate.local.stack import Stack

PROMETHEUS = Path(__file__).parents[2] / "infra/prometheus"
RULES = PROMETHEUS / "rules.yml"
_PATIENCE = 60.0

needs_prometheus = needs("promtool", "prometheus")


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def expressions_of_dashboards() -> list[str]:
    return [
        target["expr"]
        for name in DASHBOARDS
        for panel in json.loads((FOLDER / f"{name}.json").read_text())["panels"]
        for target in panel["targets"]
    ]


@needs_prometheus
@pytest.mark.parametrize(
    "check",
    [("check", "config", "prometheus.yml"), ("check", "rules", "rules.yml"), ("test", "rules", "rules_test.yml")],
)
def test_the_files_are_valid_and_the_alerts_fire(check: tuple[str, ...]) -> None:
    done = subprocess.run(
        (path_in_test("promtool"), *check), cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_says_what_to_do() -> None:
    alerts = [rule for rule in rules() if "alert" in rule]
    assert len(alerts) >= 10
    for alert in alerts:
        assert alert["labels"]["severity"] in ("critical", "warning"), alert["alert"]
        assert alert["annotations"].keys() == {"summary", "action"}, alert["alert"]


def test_every_alert_is_tested_quiet_and_firing_and_every_recorded_series_is_tested() -> None:
    tests = yaml.safe_load((PROMETHEUS / "rules_test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test.get("alert_rule_test", ())]
    quiet = {case["alertname"] for case in cases if not case["exp_alerts"]}
    firing = {case["alertname"] for case in cases if case["exp_alerts"]}
    assert quiet == firing == {rule["alert"] for rule in rules() if "alert" in rule}
    evaluated = " ".join(case["expr"] for test in tests for case in test.get("promql_expr_test", ()))
    assert [rule["record"] for rule in rules() if "record" in rule and rule["record"] not in evaluated] == []


@pytest.mark.asyncio(loop_scope="session")
async def test_every_counter_that_is_alerted_on_is_zero_before_its_first_increment(stack: Stack) -> None:
    """Prometheus sees no increase in a series that begins at 1."""
    expressions = " ".join(rule["expr"] for rule in rules() if "alert" in rule)
    alerted = set(re.findall(r"increase\((turngate_\w+)", expressions))
    # While Redis refuses, this one grows again and again; and of connections lost, many are alerted on.
    alerted -= {"turngate_redis_errors_total", "turngate_upstream_legs_lost_total"}
    async with httpx.AsyncClient(trust_env=False) as client:
        pages = [(await client.get(f"http://{url}/metrics")).text for url in _targets(stack).values()]
    shown = {name for page in pages for name in re.findall(r"^(\w+)(?:\{.*\})? ", page, re.MULTILINE)}
    assert alerted
    assert alerted <= shown


@pytest.mark.asyncio(loop_scope="session")
async def test_every_metric_of_rules_and_dashboards_exists(stack: Stack) -> None:
    expressions = [*(rule["expr"] for rule in rules()), *expressions_of_dashboards()]
    named = {name for expression in expressions for name in re.findall(r"\bturngate_\w+", expression)}
    assert len(named) > 20
    exposed: set[str] = set()
    async with httpx.AsyncClient(trust_env=False) as client:
        for url in _targets(stack).values():
            text = (await client.get(f"http://{url}/metrics")).raise_for_status().text
            exposed |= {
                name + suffix
                for name in re.findall(r"^# TYPE (\w+)", text, re.MULTILINE)
                for suffix in ("", "_bucket", "_sum", "_count")
            }
    assert named <= exposed, named - exposed


@needs_prometheus
@pytest.mark.asyncio(loop_scope="session")
async def test_a_prometheus_scrapes_a_stack_and_evaluates_the_rules(stack: Stack, tmp_path: Path) -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(RULES)]
    for scraped in config["scrape_configs"]:
        scraped["static_configs"] = [{"targets": [_targets(stack)[scraped["job_name"]]]}]
        del scraped["dns_sd_configs"]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    prometheus = await asyncio.create_subprocess_exec(
        path_in_test("prometheus"),
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address={address}",
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(trust_env=False, base_url=f"http://{address}") as client:
            async with asyncio.timeout(_PATIENCE):
                while len(await _query(client, 'up{job=~"turngate-.*"} == 1')) < len(config["scrape_configs"]) or not (
                    await _query(client, "turngate:sessions or vector(0)")
                ):
                    await asyncio.sleep(0.2)
            assert await _query(client, 'ALERTS{alertname="TurngateProcessDown"}') == []
            for expression in expressions_of_dashboards():
                query = {"query": expression.replace("$__rate_interval", "1m")}
                answer = await client.get("/api/v1/query", params=query)
                assert answer.is_success, (expression, answer.text)
            groups = (await client.get("/api/v1/rules")).json()["data"]["groups"]
            assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"}
    finally:
        prometheus.terminate()
        await prometheus.wait()


def _targets(stack: Stack) -> dict[str, str]:
    """Where the metrics of each job are."""
    return {
        "turngate-gateway": stack.internal_url("gateway").removeprefix("http://"),
        "turngate-translator": stack.translator_urls[0].removeprefix("http://"),
        "turngate-session-state": stack.session_state_url.removeprefix("http://"),
    }


async def _query(client: httpx.AsyncClient, expression: str) -> list[Any]:
    try:
        answer = await client.get("/api/v1/query", params={"query": expression})
    except httpx.TransportError:
        # It has not started yet.
        return []
    found: list[Any] = answer.json()["data"]["result"] if answer.is_success else []
    return found
