"""``turngate doctor``: looks at settings, Redis, the upstream and this machine, and says what to do, a line each."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import os
import resource
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import structlog
import typer
from redis.exceptions import AuthenticationError, RedisError, ResponseError
from rich.console import Console
from rich.text import Text

from turngate.bus.connection import connect
from turngate.bus.server import called
from turngate.cli.doctor.findings import (
    KERNEL,
    Finding,
    Level,
    failed,
    of_access,
    of_clocks,
    of_kernel,
    of_open_files,
    of_server,
    of_workers,
)
from turngate.cli.doctor.secrets import hidden, secrets_of
from turngate.cli.doctor.upstream import look_at_upstream
from turngate.cli.errors import FAILED, run
from turngate.cli.services import GATEWAY, SERVICES, SIMULATOR, known_variables
from turngate.cli.unknown_settings import unknown
from turngate.kernel import NoKernelError, implementation
from turngate.process.settings import BrokerSettings, Settings, SettingsError, load
from turngate.process.text import printable

if TYPE_CHECKING:
    from gateway.config import GatewaySettings

#: Seconds for each server to answer.
_PATIENCE = 5.0
_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as a JSON array.")] = False,
) -> None:
    """Check the configuration of the environment: settings, Redis, the upstream, limits and access.

    The exit code is 0 if nothing is wrong; warnings do not change it.
    """
    # What a service would log is said in a finding.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    run(_doctor(as_json=as_json, console=Console(highlight=False)))


async def _doctor(*, as_json: bool, console: Console) -> int:
    secrets = secrets_of(os.environ, (service.settings() for service in SERVICES))
    findings = [hidden(finding, secrets) async for finding in _findings()]
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            console.print(draw(finding), soft_wrap=True)
    return FAILED if any(finding.level is Level.ERROR for finding in findings) else 0


def draw(finding: Finding) -> Text:
    """The finding as a line."""
    remedy = f"; {finding.remedy}" if finding.remedy else ""
    said = printable(f"{finding.check}: {finding.found}{remedy}")
    return Text.assemble((f"{finding.level:>7}", f"bold {_STYLES[finding.level]}"), "  ", said)


async def _findings() -> AsyncIterator[Finding]:
    loaded: dict[str, Settings] = {}
    for finding in _settings(loaded):
        yield finding
    gateway: Any = loaded.get(GATEWAY.name)
    broker = next((one for one in loaded.values() if isinstance(one, BrokerSettings)), None)
    for server, url in broker.servers.items() if broker is not None else ():
        assert broker is not None
        async for finding in _redis(broker.model_copy(update={"redis_url": url}), server):
            yield finding
    if gateway is not None:
        yield await look_at_upstream(gateway, _PATIENCE)
        for finding in _processes(gateway):
            yield finding
        yield _kernel()
        for finding in _access(gateway):
            yield finding


def _settings(loaded: dict[str, Settings]) -> Iterator[Finding]:
    """The settings of every service; those that can be read are put into ``loaded``."""
    for line in unknown(os.environ, known_variables()):
        yield Finding(Level.WARNING, "settings", line)
    for service in SERVICES:
        if service is SIMULATOR:
            continue
        try:
            loaded[service.name] = load(service.settings())
        except SettingsError as error:
            yield failed(f"settings of the {service.name}", str(error), "`turngate config` lists what they accept")
        else:
            yield Finding(Level.OK, f"settings of the {service.name}", "valid")


async def _redis(settings: BrokerSettings, server: str) -> AsyncIterator[Finding]:
    """The Redis server of ``redis_url``, which has this name."""
    where = called(settings, server)
    variable = "TURNGATE_REDIS_URL" if settings.redis_urls is None else "TURNGATE_REDIS_URLS"
    async with connect(settings) as redis:
        try:
            async with asyncio.timeout(_PATIENCE):
                await redis.ping()
                try:
                    info = await redis.info()
                except ResponseError:
                    info = {}
                before = time.time()
                seconds, microseconds = await redis.time()
                after = time.time()
        except AuthenticationError:
            yield failed(where, "refused the user name or the password", f"set them in {variable}")
            return
        except (RedisError, OSError, TimeoutError) as error:
            yield failed(
                where,
                f"does not answer ({str(error) or type(error).__name__})",
                f"start it, or set {variable}; `turngate run` has one of its own",
            )
            return
    yield Finding(Level.OK, where, f"answers in {(after - before) * 1_000:.1f} ms")
    about = "Redis" if settings.redis_urls is None else f"Redis {server}"
    for finding in of_server(info, about, variable):
        yield finding
    yield of_clocks((seconds + microseconds / 1e6 - (before + after) / 2) * 1_000, about)


def _kernel() -> Finding:
    try:
        return of_kernel(implementation())
    except NoKernelError as error:
        return failed(KERNEL, str(error), "the gateway does not start like this")


def _processes(settings: GatewaySettings) -> Iterator[Finding]:
    from gateway.workers.count import workers_of
    from turngate.process.cores import usable_cores

    workers = workers_of(settings.gateway_workers)
    yield of_workers(workers, usable_cores())
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = float("inf") if hard == resource.RLIM_INFINITY else hard
    yield of_open_files(limit, math.ceil(settings.sessions_max / workers))


def _access(settings: GatewaySettings) -> Iterator[Finding]:
    from gateway.admission.keys import read_keys
    from gateway.admission.token_secrets import read_tokens
    from turngate.process.urls import is_loopback

    address = settings.published_host or settings.gateway_host
    try:
        keys = read_keys(settings) is not None
        tokens = read_tokens(settings, open_to_anybody=False) is not None
    except SettingsError as error:
        yield failed("access", str(error), "the gateway does not start like this")
        return
    yield from of_access(
        keys=keys,
        reachable=not is_loopback(address),
        address=address,
        origins=settings.origins,
        tokens=tokens,
    )
