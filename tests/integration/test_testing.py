"""`turngate.testing` as teams use it: the test of docs/testing.md runs, and every argument has its effect."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import connect

from turngate.testing import NotStarted, start_simulator, start_stack

_PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
PATIENCE_SECONDS = 60


def test_the_test_of_the_page_is_run_by_pytest(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", _PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert [name for name, _ in blocks] == ["conftest.py", "test_agent.py"]
    for name, code in blocks:
        (tmp_path / name).write_text(code)
    body = blocks[1][1].partition("def test")[2]
    assert len([line for line in body.splitlines() if line.strip()]) <= 15, "as short as a team would write it"
    # A team's own settings are nothing to the stack.
    env = {**os.environ, "TURNGATE_API_KEYS": "secret", "TURNGATE_GATEWAY_PORT": "x", "OPENAI_API_KEY": "sk-none"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True, text=True, env=env, cwd=tmp_path, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def welcome(url: str, **headers: str) -> str:
    with connect(f"{url}/v1/agent/converse", additional_headers=headers) as client:
        return str(json.loads(client.recv(PATIENCE_SECONDS))["type"])


def test_a_stack_has_the_settings_and_the_numbers_that_it_is_given(own_redis_url: str) -> None:
    settings = {"TURNGATE_API_KEYS": "k3y"}
    with start_stack(gateways=2, translators=2, redis_url=own_redis_url, settings=settings) as stack:
        assert stack.redis_url == own_redis_url
        for url in stack.gateway_urls:
            assert welcome(url, Authorization="Token k3y") == "Welcome"
            with pytest.raises(InvalidStatus):
                welcome(url)
        assert len(stack.gateway_urls) == 2


def test_a_stack_may_have_another_upstream(own_redis_url: str) -> None:
    with (
        start_simulator(fault="silent") as simulator,
        start_stack(redis_url=own_redis_url, upstream_url=simulator.url) as stack,
    ):
        assert stack.simulator is None
        assert welcome(stack.gateway_url) == "Welcome"


def realtime(url: str, **headers: str) -> str:
    with connect(f"{url}?model=gpt-realtime-2.1", additional_headers={"Authorization": "Bearer x"}) as client:
        return str(json.loads(client.recv(PATIENCE_SECONDS))["type"])


def test_a_simulator_is_as_sick_as_it_is_told() -> None:
    with start_simulator(fault="close_before_created") as sick, pytest.raises(ConnectionClosed):
        realtime(sick.url)
    with start_simulator(models="another") as other:
        assert realtime(other.url) == "error", "there is no such model"
    with start_simulator() as simulator:
        assert realtime(simulator.url) == "session.created"
        simulator.arm("http_503")
        with pytest.raises(InvalidStatus, match="503"):
            realtime(simulator.url)
        simulator.arm("http_503", count=5)
        simulator.disarm()
        assert realtime(simulator.url) == "session.created"
        assert len(simulator.sessions()) == 2
        with pytest.raises(HTTPError):
            simulator.arm("no_such_fault")


def test_what_cannot_start_says_why() -> None:
    with pytest.raises(NotStarted, match="TURNGATE_SIMULATOR_FAULT"), start_simulator(fault="no_such_fault"):
        pass
    with pytest.raises(NotStarted, match="TURNGATE_API_KEYS"), start_stack(settings={"TURNGATE_API_KEYS": "a b"}):
        pass


def test_nothing_is_left_when_the_test_run_is_killed() -> None:
    program = (
        "import sys\nfrom turngate.testing import start_simulator\n"
        "with start_simulator() as simulator:\n    print(simulator.url, flush=True)\n    sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert realtime(url) == "session.created"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()
    assert until_refused(url)


def until_refused(url: str) -> bool:
    """Returns when nothing serves this address any more."""
    while True:
        try:
            realtime(url)
        except (OSError, ConnectionClosed, InvalidHandshake):
            return True
