"""The image in a team's test: `TurngateContainer`, with a Redis beside it."""

from __future__ import annotations

import json
import urllib.request

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from turngate.testing.container import TurngateContainer

pytestmark = pytest.mark.docker


@pytest.mark.usefixtures("image")
def test_a_conversation_with_the_container() -> None:
    with TurngateContainer().with_redis().with_api_keys("k3y") as turngate:
        url = f"{turngate.gateway_url}/v1/agent/converse"
        with pytest.raises(InvalidStatus):
            connect(url)
        think = {"provider": {"type": "open_ai", "model": "gpt-realtime-2.1"}, "prompt": "Be kind."}
        with connect(url, additional_headers={"Authorization": "Token k3y"}) as client:
            client.send(json.dumps({"type": "Settings", "audio": {}, "agent": {"think": think}}))
            kinds: list[str] = []
            while "SettingsApplied" not in kinds:
                kinds.append(json.loads(client.recv(60))["type"])
        with urllib.request.urlopen(f"{turngate.http_url}/v1/agent/settings/think/models") as answer:
            assert json.load(answer)["models"][0]["id"] == "gpt-realtime-2.1"
