"""The HTTP of a gateway that has workers: what it answers for all of them together.

- ``/health``: 200 while the supervisor works. It kills and restarts workers itself.
- ``/ready``: 200 if clients that come now are served: all workers have been ready to begin with, one at least is ready,
  and none that accepts clients is not. One that is down accepts none, and one that leaves is not asked.
- ``/metrics``: those of all workers and of the supervisor, with a label ``worker``.
- ``/drain``: all workers drain; the answer comes when they have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import orjson
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.workers.link import Answer
from gateway.workers.process import State, Worker
from gateway.workers.scrape import merged
from turngate.process.http import json_response

#: Seconds in which a worker must answer.
_SECONDS = 1.5


class Pages:
    """Answers for the workers that there are."""

    def __init__(self, workers: Callable[[], Sequence[Worker]], alive: Callable[[], bool]) -> None:
        self._workers = workers
        self._alive = alive
        #: Whether all workers have been started.
        self.started = False
        self.draining = False
        self._were_ready = False

    def application(self) -> Starlette:
        pages = {"/health": self._health, "/ready": self._ready, "/metrics": self._metrics, "/drain": self._drain}
        return Starlette(routes=[Route(path, page) for path, page in pages.items()])

    async def _health(self, _: Request) -> Response:
        alive = self._alive()
        workers = [
            {"worker": one.number, "pid": one.pid, "state": one.state, "restarts": one.restarts}
            for one in self._workers()
        ]
        return json_response({"service": "gateway", "consumers": alive, "workers": workers}, 200 if alive else 503)

    async def _ready(self, _: Request) -> Response:
        serving = [one for one in self._workers() if one.state is State.SERVING]
        answers = await self._ask(serving, "/ready", _SECONDS)
        ready = sum(answer is not None and answer.ok for answer in answers)
        if self.started and ready == len(serving):
            self._were_ready = True
        good = self._alive() and not self.draining and self._were_ready and 0 < ready == len(serving)
        told = {"service": "gateway", "ready": good, "workers": len(serving), "workers_ready": ready}
        missing = sorted({name for answer in answers if answer is not None for name in _missing(answer)})
        return json_response({**told, **({"missing": missing} if missing else {})}, 200 if good else 503)

    async def _metrics(self, _: Request) -> Response:
        workers = [one for one in self._workers() if one.pid is not None]
        answers = await self._ask(workers, "/metrics", _SECONDS)
        pages = {
            str(worker.number): answer.body.decode()
            for worker, answer in zip(workers, answers, strict=True)
            if answer is not None and answer.ok
        }
        pages["supervisor"] = generate_latest().decode()
        return Response(merged(pages), media_type=CONTENT_TYPE_LATEST)

    async def _drain(self, _: Request) -> Response:
        self.draining = True
        workers = list(self._workers())
        for worker in workers:
            worker.leave(None)
        answers = await self._ask(workers, "/drain", None)
        sessions = sum(orjson.loads(answer.body)["sessions"] for answer in answers if answer is not None and answer.ok)
        return json_response({"service": "gateway", "sessions": sessions})

    async def _ask(self, workers: Sequence[Worker], target: str, timeout: float | None) -> list[Answer | None]:
        """The answers of these workers, in their order; None for one that did not answer."""

        async def answer(worker: Worker) -> Answer | None:
            try:
                return await worker.ask(target, timeout)
            except OSError:
                return None

        return list(await asyncio.gather(*(answer(worker) for worker in workers)))


def _missing(answer: Answer) -> list[str]:
    """The services that a worker needs and does not see."""
    try:
        return [str(name) for name in orjson.loads(answer.body).get("missing", [])]
    except (ValueError, AttributeError):
        return []
