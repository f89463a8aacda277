"""HAProxy's configuration: it is valid, it sends clients to gateways that are ready, it says truly who they are, and it
writes no secrets to its log."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import yaml

from gateway.config import GatewaySettings
from tests.chaos.balancer import CONFIGURATION, balanced
from tests.programs import needs, path_in_test

pytestmark = needs("haproxy")

_PATIENCE = 30.0


class _Gateway:
    """Answers every request on its one port with its name, and `/ready` with its state. Keeps what it was asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ready = True
        self.asked: list[str] = []
        #: How often it was asked whether it is ready, since it is in this state.
        self.probed = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        status = "200 OK"
        if request.startswith("GET /ready "):
            self.probed += 1
            status = "200 OK" if self.ready else "503 Service Unavailable"
        else:
            self.asked.append(request)
        body = f"HTTP/1.1 {status}\r\nContent-Length: {len(self.name)}\r\nConnection: close\r\n\r\n{self.name}"
        writer.write(body.encode())
        await writer.drain()
        writer.close()

    async def probed_again(self) -> None:
        """Return when the balancer has seen the state that it has now."""
        self.probed = 0
        async with asyncio.timeout(_PATIENCE):
            while self.probed < 2:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def _fleet(folder: Path) -> AsyncIterator[tuple[str, list[_Gateway], list[asyncio.Server]]]:
    """A balancer's host and port, its two gateways, and what they listen with."""
    gateways = [_Gateway("a"), _Gateway("b")]
    servers = [await asyncio.start_server(one.answer, "127.0.0.1", 0) for one in gateways]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    async with balanced([(f"127.0.0.1:{port}", port) for port in ports], folder) as address:
        for one in gateways:
            await one.probed_again()
        yield address, gateways, servers
    for server in servers:
        server.close()


async def _ask(address: str, request: str = "GET / HTTP/1.1") -> str:
    """The name of the gateway that answers."""
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"{request}\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(_PATIENCE):
        answer = (await reader.read()).decode()
    writer.close()
    assert answer.startswith("HTTP/1.1 200 "), answer
    return answer.rpartition("\r\n\r\n")[2]


def test_it_is_valid_and_needs_a_certificate_only_if_there_is_a_folder_of_them(tmp_path: Path) -> None:
    command = [path_in_test("haproxy"), "-c", "-f", str(CONFIGURATION)]
    plain = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
    assert (plain.returncode, plain.stderr) == (0, "")
    env = {"TURNGATE_EDGE_CERTIFICATES": str(tmp_path)}
    encrypted = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert encrypted.returncode == 1
    assert "/etc/turngate/certificates" in encrypted.stderr


def test_it_fits_the_compose_file() -> None:
    text = CONFIGURATION.read_text()
    services = yaml.safe_load((CONFIGURATION.parents[2] / "docker-compose.yml").read_text())["services"]
    settings = GatewaySettings()
    assert f" gateway:{settings.gateway_port} resolvers" in text
    assert f"default-server check port {settings.gateway_internal_port} " in text
    bound = re.findall(r"^    bind :(\d+)", text, re.MULTILINE)
    published = [port.rpartition(":")[2] for port in services["haproxy"]["ports"]]
    assert bound == [*published, "8405"]
    assert "ports" not in services["gateway"], "several cannot be published at one port"
    (folder,) = [volume.split(":")[1] for volume in services["haproxy"]["volumes"] if volume.startswith("./")]
    assert services["haproxy"]["command"][-1] == f"{folder}/{CONFIGURATION.name}"


async def test_a_gateway_that_is_not_ready_gets_no_clients(tmp_path: Path) -> None:
    async with _fleet(tmp_path) as (address, (first, second), _):
        assert {await _ask(address) for _ in range(4)} == {"a", "b"}
        first.ready = False
        await first.probed_again()
        assert {await _ask(address) for _ in range(4)} == {"b"}
        first.ready, second.ready = True, False
        await first.probed_again()
        await second.probed_again()
        assert {await _ask(address) for _ in range(4)} == {"a"}


async def test_a_gateway_that_has_just_closed_its_port_costs_no_client(tmp_path: Path) -> None:
    """Before the next check has noticed."""
    async with _fleet(tmp_path) as (address, _, servers):
        servers[0].close()
        assert [await _ask(address) for _ in range(8)] == ["b"] * 8


async def test_a_client_cannot_claim_another_address(tmp_path: Path) -> None:
    async with _fleet(tmp_path) as (address, gateways, _):
        await _ask(address, "GET / HTTP/1.1\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 203.0.113.8")
        (request,) = [request for one in gateways for request in one.asked]
        assert re.findall(r"x-forwarded-for: (\S+)", request, re.IGNORECASE) == ["127.0.0.1"]


async def test_what_a_client_says_in_the_query_is_not_in_the_log(tmp_path: Path) -> None:
    async with _fleet(tmp_path) as (address, gateways, _):
        await _ask(address, "GET /openai?token=s3cret HTTP/1.1")
        assert "token=s3cret" in "".join(gateways[0].asked + gateways[1].asked)
    log = (tmp_path / "haproxy.log").read_text()
    assert " GET /openai\n" in log
    assert "s3cret" not in log
