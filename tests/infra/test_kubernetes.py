"""infra/k8s: valid against Kubernetes' schemas, and what must hold for every container, for draining, and for who may
talk to whom. Nothing here runs on a cluster."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest

from gateway.config import GatewaySettings
from session_state.config import SessionStateSettings
from tests.infra.manifests import container, of_kind, pods, written
from translator.config import TranslatorSettings
from turngate.cli.config import collect

#: Objects whose schema the cluster gets from others: KEDA, the Prometheus operator, the Gateway API.
FOREIGN = {"ScaledObject", "TriggerAuthentication", "ServiceMonitor", "PrometheusRule", "HTTPRoute"}
SERVICES = ("turngate-gateway", "turngate-translator", "turngate-session-state")
PORTS = {
    "turngate-gateway": GatewaySettings().gateway_internal_port,
    "turngate-translator": TranslatorSettings().translator_port,
    "turngate-session-state": SessionStateSettings().session_state_port,
}
OBJECTS = written()
#: The secrets that only one service needs.
SECRETS = {
    "turngate-gateway": {"OPENAI_API_KEY", "TURNGATE_API_KEYS", "TURNGATE_TOKEN_SECRET"},
    "turngate-session-state": {"TURNGATE_ADMIN_KEY"},
    "turngate-translator": set(),
}


def ours() -> list[Any]:
    return [
        pytest.param(found, id=f"{found['kind']} {found['metadata']['name']}")
        for found in OBJECTS
        if found["kind"] not in FOREIGN
    ]


@pytest.mark.parametrize("version", ["1.29", "1.33", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("found", ours())
def test_it_is_valid_in_old_and_new_releases(found: dict[str, Any], version: str) -> None:
    kubernetes_validate.validate(found, version, strict=True)


def test_a_misspelt_field_is_found() -> None:
    wrong = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"prots": []}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.33", strict=True)


@pytest.mark.parametrize(("name", "pod"), [pytest.param(*one, id=one[0]) for one in pods(OBJECTS)])
def test_every_container_is_confined_limited_and_probed(name: str, pod: dict[str, Any]) -> None:
    (only,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert only["resources"]["limits"]["memory"]
    assert only["resources"]["requests"].keys() == {"cpu", "memory"}
    assert {"livenessProbe", "readinessProbe"} <= only.keys()
    assert all(volume["emptyDir"]["sizeLimit"] for volume in pod["volumes"])
    assert not only["image"].endswith(":latest"), "an overlay says which one"


@pytest.mark.parametrize(("name", "pod"), [pytest.param(*one, id=one[0]) for one in pods(OBJECTS)])
def test_no_pod_gets_the_addresses_of_services_as_settings(name: str, pod: dict[str, Any]) -> None:
    """For a service `turngate-simulator` it would be `TURNGATE_SIMULATOR_PORT=tcp://10.0.0.1:8083`."""
    assert pod["enableServiceLinks"] is False


@pytest.mark.parametrize("name", SERVICES)
def test_the_ports_are_those_of_the_settings(name: str) -> None:
    only = container(OBJECTS, name)
    ports = {port["name"]: port["containerPort"] for port in only["ports"]}
    assert ports["internal"] == PORTS[name]
    assert {only[probe]["httpGet"]["port"] for probe in ("livenessProbe", "readinessProbe", "startupProbe")} == {
        "internal"
    }
    assert only["livenessProbe"]["httpGet"]["path"] == "/health", "a Redis that is away is no reason to start again"
    assert only["readinessProbe"]["httpGet"]["path"] == "/ready"
    (exposed,) = [
        port
        for service in of_kind(OBJECTS, "Service").values()
        for port in service["spec"]["ports"]
        if service["spec"]["selector"] == {"app.kubernetes.io/name": name} and port["targetPort"] == "internal"
    ]
    assert exposed["port"] == PORTS[name]


def test_clients_reach_the_public_port_alone() -> None:
    public = of_kind(OBJECTS, "Service")["turngate"]["spec"]
    assert [port["targetPort"] for port in public["ports"]] == ["public"]
    ports = {port["name"]: port["containerPort"] for port in container(OBJECTS, "turngate-gateway")["ports"]}
    assert ports["public"] == GatewaySettings().gateway_port
    backends = [
        path["backend"]["service"]["name"]
        for ingress in of_kind(OBJECTS, "Ingress").values()
        for rule in ingress["spec"]["rules"]
        for path in rule["http"]["paths"]
    ]
    (route,) = of_kind(OBJECTS, "HTTPRoute").values()
    backends += [backend["name"] for rule in route["spec"]["rules"] for backend in rule["backendRefs"]]
    assert set(backends) == {"turngate"}


def test_a_gateway_drains_before_it_is_killed() -> None:
    pod = dict(pods(OBJECTS))["turngate-gateway"]
    (only,) = pod["containers"]
    assert only["lifecycle"]["preStop"]["httpGet"] == {"path": "/drain", "port": "internal"}
    settings = GatewaySettings()
    replies_and_farewell = 10 + 2 * 3
    drain = (settings.drain_grace_ms + settings.drain_ms) / 1_000 + replies_and_farewell
    assert pod["terminationGracePeriodSeconds"] > drain
    ready = only["readinessProbe"]
    assert ready["periodSeconds"] * ready["failureThreshold"] * 1_000 < settings.drain_grace_ms


@pytest.mark.parametrize("name", SERVICES)
def test_an_update_or_a_drained_node_leaves_enough(name: str) -> None:
    deployment = of_kind(OBJECTS, "Deployment")[name]["spec"]
    assert deployment["replicas"] >= 2
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    budget = of_kind(OBJECTS, "PodDisruptionBudget")[name]["spec"]
    assert budget["maxUnavailable"] == 1
    labels = deployment["template"]["metadata"]["labels"]
    assert budget["selector"]["matchLabels"] == deployment["selector"]["matchLabels"] == labels
    spread = deployment["template"]["spec"]["topologySpreadConstraints"]
    assert [one["topologyKey"] for one in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    assert all(one["labelSelector"]["matchLabels"] == labels for one in spread)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_gets_only_the_secrets_that_it_needs(name: str) -> None:
    refs = {
        (variable["valueFrom"]["secretKeyRef"]["name"], variable["name"])
        for variable in container(OBJECTS, name)["env"]
        if "valueFrom" in variable
    }
    assert refs == {("turngate-redis", "TURNGATE_REDIS_URL")} | {("turngate-secrets", key) for key in SECRETS[name]}


def test_every_variable_is_a_setting() -> None:
    known = {setting.variable for setting in collect()} | {"OPENAI_API_KEY"}
    for name in (*SERVICES, "turngate-simulator"):
        assert {variable["name"] for variable in container(OBJECTS, name)["env"]} <= known, name


def test_who_may_talk_to_whom() -> None:
    policies = {name: found["spec"] for name, found in of_kind(OBJECTS, "NetworkPolicy").items()}
    default = policies["turngate-default"]
    assert default["podSelector"]["matchLabels"] == {"app.kubernetes.io/part-of": "turngate"}
    assert default["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in default, "nothing comes in unless another policy says so"
    assert {port["port"] for rule in default["egress"] for port in rule["ports"]} == {53, 6379}
    gateway = policies["turngate-gateway"]
    assert [port["port"] for rule in gateway["ingress"] for port in rule["ports"]] == ["public"]
    (https,) = gateway["egress"]
    assert [port["port"] for port in https["ports"]] == [443]
    assert all(block["ipBlock"]["except"] for block in https["to"]), "no credentials of the cloud"
    (internal,) = policies["turngate-internal"]["ingress"]
    assert internal["ports"] == [{"protocol": "TCP", "port": "internal"}]
    assert internal["from"] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    ], "metrics, and the pages of sessions, are not for everybody"
