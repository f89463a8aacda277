"""Generates infra/k8s/components/monitoring/rules.yaml: infra/prometheus/rules.yml for the Prometheus operator.

``python -m tools.docs.prometheus_rule`` prints the file, `make docs` writes it, and `make check` compares it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_RULES = Path(__file__).parents[2] / "infra/prometheus/rules.yml"
_HEADER = "# Made by `make docs` from infra/prometheus/rules.yml. Do not edit.\n"


def resource() -> dict[str, Any]:
    """The rules as a resource of the operator."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "turngate"},
        "spec": yaml.safe_load(_RULES.read_text("utf-8")),
    }


if __name__ == "__main__":
    print(_HEADER + yaml.safe_dump(resource(), sort_keys=False, width=120), end="")
