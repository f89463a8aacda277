"""What the overlays of infra/k8s make, what KEDA scales by, and what Prometheus finds."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import redis
import yaml

from tests.infra.manifests import OVERLAYS, RENDERER, container, of_kind, pods, render, written
from tests.infra.test_kubernetes import FOREIGN, SERVICES
from tests.programs import needs
from turngate.cli.config import collect
from turngate.protocol.messages import CLIENT_EVENTS, TRANSLATORS

_ROOT = Path(__file__).parents[2]
_MADE_BY_HAND = {"turngate-redis", "turngate-secrets"}

needs_kustomize = needs(RENDERER[0])


def scaled(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = of_kind(written(), "ScaledObject")[name]["spec"]
    return spec


@needs_kustomize
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_renders_what_is_valid_and_complete(overlay: str) -> None:
    objects = render(f"overlays/{overlay}")
    for found in objects:
        if found["kind"] not in FOREIGN:
            kubernetes_validate.validate(found, "1.33", strict=True)
        assert found["kind"] == "Namespace" or found["metadata"]["namespace"] == "turngate"
    assert set(SERVICES) <= set(of_kind(objects, "Deployment"))
    here = {kind: set(of_kind(objects, kind)) for kind in ("ConfigMap", "Secret")}
    for name, pod in pods(objects):
        (only,) = pod["containers"]
        for source in only.get("envFrom", ()):
            assert source["configMapRef"]["name"] in here["ConfigMap"], name
        for variable in only.get("env", ()):
            if "valueFrom" in variable:
                assert variable["valueFrom"]["secretKeyRef"]["name"] in here["Secret"] | _MADE_BY_HAND, name
    known = {setting.variable for setting in collect()}
    assert {key for found in of_kind(objects, "ConfigMap").values() for key in found["data"]} <= known


@needs_kustomize
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_network_policies_apply_to_every_service(overlay: str) -> None:
    for name, found in of_kind(render(f"overlays/{overlay}"), "Deployment").items():
        labels = found["spec"]["template"]["metadata"]["labels"]
        assert labels.get("app.kubernetes.io/part-of") == "turngate" or name not in SERVICES


@needs_kustomize
def test_a_trial_needs_no_secret_that_is_made_by_hand() -> None:
    objects = render("overlays/trial")
    for name in SERVICES:
        secrets = [one["valueFrom"]["secretKeyRef"] for one in container(objects, name)["env"] if "valueFrom" in one]
        made = set(of_kind(objects, "Secret"))
        assert all(secret["name"] in made or secret.get("optional") for secret in secrets), name


@needs_kustomize
def test_what_is_scaled_has_no_number_of_its_own() -> None:
    deployments = of_kind(render("overlays/production"), "Deployment")
    targets = {found["spec"]["scaleTargetRef"]["name"] for found in of_kind(written(), "ScaledObject").values()}
    assert targets == {"turngate-gateway", "turngate-translator"}
    assert {name for name, found in deployments.items() if "replicas" not in found["spec"]} == targets


def test_translators_are_scaled_by_what_is_not_done() -> None:
    stream, age = scaled("turngate-translator")["triggers"]
    assert stream["metadata"]["stream"] == CLIENT_EVENTS
    assert "streamLength" in stream["metadata"]
    assert not {"consumerGroup", "lagCount", "pendingEntriesCount"} & stream["metadata"].keys(), "KEDA would use these"
    (authentication,) = of_kind(written(), "TriggerAuthentication").values()
    assert authentication["metadata"]["name"] == stream["authenticationRef"]["name"]
    assert {one["parameter"] for one in authentication["spec"]["secretTargetRef"]} == {"address", "password"}
    assert "turngate_oldest_request_seconds" in age["metadata"]["query"]


def test_lag_is_unknown_when_it_is_needed_and_the_length_is_not(broker_url: str) -> None:
    """Of three entries, a slow translator has the first one and a fast one has finished the second."""
    client: Any
    with redis.Redis.from_url(broker_url) as client:
        client.xgroup_create(CLIENT_EVENTS, TRANSLATORS, mkstream=True)
        for number in range(3):
            client.xadd(CLIENT_EVENTS, {"number": number})
        ((_, _first), (second, _)) = client.xreadgroup(TRANSLATORS, "slow", {CLIENT_EVENTS: ">"}, count=2)[0][1]
        client.xack(CLIENT_EVENTS, TRANSLATORS, second)
        client.xdel(CLIENT_EVENTS, second)
        (group,) = client.xinfo_groups(CLIENT_EVENTS)
        assert group["lag"] is None
        assert client.xlen(CLIENT_EVENTS) == 2


@pytest.mark.parametrize("name", ["turngate-gateway", "turngate-translator"])
def test_scaling_goes_never_to_zero_never_without_end_and_down_slowly(name: str) -> None:
    spec = scaled(name)
    assert 2 <= spec["minReplicaCount"] < spec["maxReplicaCount"]
    assert spec["minReplicaCount"] <= spec["fallback"]["replicas"]
    assert spec["fallback"]["behavior"] == "currentReplicasIfHigher"
    down = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    assert down["stabilizationWindowSeconds"] >= 120
    assert all(one.get("metricType", "AverageValue") == "AverageValue" for one in spec["triggers"])
    asked = [one["metadata"] for one in spec["triggers"] if one["type"] == "prometheus"]
    assert asked
    assert all(one["ignoreNullValues"] == "false" for one in asked), "what was not scraped would count as zero"


def test_gateways_go_one_by_one_as_fast_as_they_drain() -> None:
    down = scaled("turngate-gateway")["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
    (policy,) = down["policies"]
    pod = dict(pods(written()))["turngate-gateway"]
    assert (policy["type"], policy["value"]) == ("Pods", 1)
    assert policy["periodSeconds"] >= pod["terminationGracePeriodSeconds"]
    (sessions,) = scaled("turngate-gateway")["triggers"]
    assert sessions["metadata"]["query"] == "sum(turngate_sessions)"


def test_every_metric_that_is_scaled_by_is_in_the_manual() -> None:
    manual = (_ROOT / "docs/metrics.md").read_text("utf-8")
    named = re.findall(
        r"turngate_\w+", json.dumps([found["spec"] for found in of_kind(written(), "ScaledObject").values()])
    )
    assert named
    assert [name for name in named if f"| `{name}` |" not in manual] == []


def test_the_jobs_have_the_names_that_alerts_and_dashboards_look_for() -> None:
    (monitor,) = of_kind(written(), "ServiceMonitor").values()
    chosen = [
        service["metadata"]["labels"]
        for service in of_kind(written(), "Service").values()
        if monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    ]
    jobs = yaml.safe_load((_ROOT / "infra/prometheus/prometheus.yml").read_text())["scrape_configs"]
    assert {labels[monitor["spec"]["jobLabel"]] for labels in chosen} == {job["job_name"] for job in jobs}
    assert len(chosen) == len(jobs)
