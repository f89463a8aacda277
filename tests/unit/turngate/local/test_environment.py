"""A child process gets the variables that it needs, and no secret of another."""

from __future__ import annotations

import pytest

from turngate.local.environment import for_child

ENV = {
    "PATH": "/bin",
    "LC_ALL": "C",
    "https_proxy": "http://proxy",
    "AWS_SECRET_ACCESS_KEY": "s3cret",
    "DATABASE_PASSWORD": "s3cret",
    "OPENAI_API_KEY": "sk-s3cret",
    "TURNGATE_OPENAI_API_KEY": "sk-s3cret",
    "TURNGATE_API_KEYS": "s3cret",
    "TURNGATE_UPSTREAM_URL": "wss://user:s3cret@host",
    "TURNGATE_SIMULATOR_API_KEY": "s3cret",
    "TURNGATE_REDIS_URL": "redis://:s3cret@host",
    "TURNGATE_LOG_LEVEL": "debug",
}
GENERAL = {"PATH", "LC_ALL", "https_proxy"}


@pytest.mark.parametrize(
    ("kind", "secrets"),
    [
        ("broker", set()),
        ("simulator", {"TURNGATE_SIMULATOR_API_KEY"}),
        ("translator", {"TURNGATE_REDIS_URL"}),
        ("session-state", {"TURNGATE_REDIS_URL"}),
        (
            "gateway",
            {
                "OPENAI_API_KEY",
                "TURNGATE_OPENAI_API_KEY",
                "TURNGATE_API_KEYS",
                "TURNGATE_UPSTREAM_URL",
                "TURNGATE_REDIS_URL",
            },
        ),
    ],
)
def test_each_kind_gets_its_own(kind: str, secrets: set[str]) -> None:
    settings = set() if kind == "broker" else {"TURNGATE_LOG_LEVEL"}
    assert set(for_child(kind, ENV)) == GENERAL | settings | secrets
