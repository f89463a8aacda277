"""Prometheus, Grafana and Tempo in docker-compose.yml: they find the services, their files and each other, and are for
this machine alone."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from gateway.config import GatewaySettings
from session_state.config import SessionStateSettings
from tools.docs.dashboards import DASHBOARDS
from translator.config import TranslatorSettings

ROOT = Path(__file__).parents[2]
_GRAFANA = ROOT / "infra/grafana/provisioning"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    return found


@pytest.fixture(scope="module")
def observers(services: dict[str, Any]) -> dict[str, Any]:
    return {name: service for name, service in services.items() if "observability" in service.get("profiles", ())}


def mounts(service: dict[str, Any]) -> dict[str, Path]:
    """The folders of this repository in a container, by their path there."""
    found = {}
    for volume in service["volumes"]:
        source, target, *mode = volume.split(":")
        if source.startswith("."):
            assert mode == ["ro"], volume
            found[target] = ROOT / source
    return found


def test_they_are_started_only_with_their_profile(services: dict[str, Any], observers: dict[str, Any]) -> None:
    assert observers.keys() == {"prometheus", "grafana", "tempo"}
    others = [service for name, service in services.items() if name not in observers]
    assert all(observers.keys().isdisjoint(service.get("depends_on", ())) for service in others)


@pytest.mark.parametrize("name", ["prometheus", "grafana", "tempo"])
def test_they_are_confined_and_for_this_machine_alone(observers: dict[str, Any], name: str) -> None:
    service = observers[name]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "pids_limit"} <= service.keys()
    assert not service["image"].endswith(("latest", service["image"].partition(":")[0]))


def test_prometheus_asks_each_service_at_its_internal_port(services: dict[str, Any]) -> None:
    jobs = yaml.safe_load((ROOT / "infra/prometheus/prometheus.yml").read_text())["scrape_configs"]
    asked = {name: found["port"] for job in jobs for found in job["dns_sd_configs"] for name in found["names"]}
    assert asked == {
        "gateway": GatewaySettings().gateway_internal_port,
        "gateway-direct": GatewaySettings().gateway_internal_port,
        "translator": TranslatorSettings().translator_port,
        "session-state": SessionStateSettings().session_state_port,
    }
    for name in asked:
        setting = "GATEWAY_INTERNAL" if name.startswith("gateway") else name.replace("-", "_").upper()
        variable = f"TURNGATE_{setting}_HOST"
        assert services[name]["environment"][variable] == "0.0.0.0"


def test_prometheus_finds_its_configuration(observers: dict[str, Any]) -> None:
    (config,) = [
        option.partition("=")[2] for option in observers["prometheus"]["command"] if option.startswith("--config.file=")
    ]
    folder, _, name = config.rpartition("/")
    assert (mounts(observers["prometheus"])[folder] / name).is_file()


def datasource(kind: str) -> dict[str, Any]:
    """The one datasource of this type in Grafana."""
    (source,) = [
        source
        for path in (_GRAFANA / "datasources").glob("*.yml")
        for source in yaml.safe_load(path.read_text())["datasources"]
        if source["type"] == kind
    ]
    assert source["uid"] == kind
    return cast("dict[str, Any]", source)


def test_grafana_finds_prometheus_and_the_dashboards(observers: dict[str, Any]) -> None:
    found = mounts(observers["grafana"])
    assert found["/etc/grafana/provisioning"] == _GRAFANA
    source = datasource("prometheus")
    (port,) = observers["prometheus"]["ports"]
    assert source["url"] == f"http://prometheus:{port.rpartition(':')[2]}"
    assert source["isDefault"]
    (provider,) = yaml.safe_load((_GRAFANA / "dashboards/turngate.yml").read_text())["providers"]
    folder = found[provider["options"]["path"]]
    shown = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    assert {dashboard["title"] for dashboard in shown} == {title for title, _ in DASHBOARDS.values()}
    assert len({dashboard["uid"] for dashboard in shown}) == len(shown)
    for dashboard in shown:
        # Each asks the source that its variable names, which is one of those that are provisioned.
        (variable,) = dashboard["templating"]["list"]
        assert (variable["type"], variable["query"]) == ("datasource", source["type"])
        used = [panel["datasource"] for panel in dashboard["panels"]]
        used += [target["datasource"] for panel in dashboard["panels"] for target in panel["targets"]]
        assert used, dashboard["title"]
        assert all(one == {"type": source["type"], "uid": f"${{{variable['name']}}}"} for one in used)


def test_tempo_takes_traces_and_grafana_reads_them(services: dict[str, Any], observers: dict[str, Any]) -> None:
    """Tempo cannot be run here: these are the parts of its file that something else depends on."""
    (option,) = observers["tempo"]["command"]
    folder, _, name = option.removeprefix("-config.file=").rpartition("/")
    config = yaml.safe_load((mounts(observers["tempo"])[folder] / name).read_text())
    assert datasource("tempo")["url"] == f"http://tempo:{config['server']['http_listen_port']}"
    assert config["distributor"]["receivers"] == {"otlp": {"protocols": {"http": {"endpoint": "0.0.0.0:4318"}}}}
    (data,) = [volume.rpartition(":")[2] for volume in observers["tempo"]["volumes"] if volume.startswith("tempo-")]
    trace = config["storage"]["trace"]
    assert all(trace[part]["path"].startswith(f"{data}/") for part in ("wal", "local"))
    compose = (ROOT / "docker-compose.yml").read_text()
    assert "OTEL_EXPORTER_OTLP_ENDPOINT is http://tempo:4318" in compose
    for name in ("gateway", "translator", "session-state"):
        environment = services[name]["environment"]
        assert "OTEL_EXPORTER_OTLP_ENDPOINT" in environment
        assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"] is None, "passed on, and unset otherwise"


def test_no_default_contains_a_variable() -> None:
    """docker-compose 1.29 passes such a default on as it is written."""
    assert re.findall(r"\$\{[^}]*\$\{.*", (ROOT / "docker-compose.yml").read_text()) == []
