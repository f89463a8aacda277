"""HAProxy in front of a fleet on this machine, with the configuration of `docker compose --profile edge`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.programs import path_in_test
from turngate.local.ports import free_port

CONFIGURATION = Path(__file__).parents[2] / "infra/haproxy/haproxy.cfg"


def configuration(port: int, gateways: Iterable[tuple[str, int]]) -> str:
    """The configuration, for clients at this port of this machine, with these gateways: the address of each, and its
    internal port. Raises LookupError if the file has not the lines that are replaced."""
    servers = "\n".join(
        f"    server gateway-{number} {address} port {internal}"
        for number, (address, internal) in enumerate(gateways, start=1)
    )
    text = CONFIGURATION.read_text()
    for line, replacement in (
        (r"    bind :8080", f"    bind 127.0.0.1:{port}"),
        (r"    bind :8405", f"    bind 127.0.0.1:{free_port()}"),
        (r"    server-template gateway- .*", servers),
    ):
        text, found = re.subn(f"^{line}$", replacement, text, flags=re.MULTILINE)
        if found != 1:
            raise LookupError(f"{line} is {found} times in {CONFIGURATION}")
    return text


@asynccontextmanager
async def balanced(gateways: Iterable[tuple[str, int]], folder: Path) -> AsyncIterator[str]:
    """The host and port of a balancer of these gateways (see `configuration`). Its configuration and its log are in
    this folder."""
    program, port = path_in_test("haproxy"), free_port()
    file = folder / "haproxy.cfg"
    file.write_text(configuration(port, gateways))
    with (folder / "haproxy.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(program, "-f", str(file), "-db", stdout=log, stderr=log)
    try:
        async with asyncio.timeout(30):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    assert process.returncode is None, f"HAProxy has ended: {(folder / 'haproxy.log').read_text()}"
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    break
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()
