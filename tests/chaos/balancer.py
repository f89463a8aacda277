"""HAProxy in front of the gateways of a stack, as a fleet has it: each connection goes to a gateway that is ready."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.programs import path_in_test
from turngate.local.ports import free_port
from turngate.local.stack import Stack

_CONFIG = """
defaults
    mode http
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    timeout tunnel 1h
    option redispatch 1
    retries 3
    retry-on conn-failure empty-response
frontend clients
    bind 127.0.0.1:{port}
    maxconn 4000
    default_backend gateways
backend gateways
    balance roundrobin
    option httpchk GET /ready
    default-server check inter 100ms fall 1 rise 1
"""


@asynccontextmanager
async def balanced(stack: Stack, folder: Path) -> AsyncIterator[str]:
    """The address of a balancer of this stack's gateways, whose configuration is in this folder."""
    port = free_port()
    config = [_CONFIG.format(port=port)]
    addresses = zip(stack.layout.addresses["gateway"], stack.layout.internal_addresses["gateway"], strict=True)
    for number, (address, internal) in enumerate(addresses, start=1):
        config.append(f"    server gateway-{number} {address} port {internal.rpartition(':')[2]}\n")
    file = folder / "haproxy.cfg"
    file.write_text("".join(config))
    process = await asyncio.create_subprocess_exec(path_in_test("haproxy"), "-f", str(file), "-db", "-q")
    try:
        async with asyncio.timeout(30):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    assert process.returncode is None, "HAProxy has ended"
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    break
        yield f"ws://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()
