"""Events are logged as they are declared; the session is bound to the context of the work for it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable

import pytest
from structlog.contextvars import get_contextvars, merge_contextvars
from structlog.testing import capture_logs

from turngate.process.log_context import about, merge_trace
from turngate.process.log_event import LogEvent, debug, declared_in, error, info, warning


@warning("Restart it.", about_session=True)
def request_lost(*, seq: int, exc_info: BaseException | None) -> None:
    """A request
    was lost."""


def test_a_declaration_is_all_that_is_known_of_an_event() -> None:
    assert (request_lost.name, request_lost.level) == ("request_lost", "warning")
    assert (request_lost.meaning, request_lost.remedy) == ("A request was lost.", "Restart it.")
    assert request_lost.fields == ("session", "seq", "exception")
    assert declared_in(sys.modules[__name__]) == [request_lost]


def test_an_event_is_logged_with_its_level_and_fields() -> None:
    with capture_logs() as logs:
        request_lost(seq=3, exc_info=None)
    assert logs == [{"event": "request_lost", "log_level": "warning", "seq": 3, "exc_info": None}]


@pytest.mark.parametrize(("declare", "level"), [(error, "error"), (info, "info"), (debug, "debug")])
def test_levels(declare: Callable[[str], Callable[[Callable[[], None]], LogEvent[[]]]], level: str) -> None:
    def happened() -> None: ...

    with capture_logs() as logs:
        declare("Nothing.")(happened)()
    assert logs == [{"event": "happened", "log_level": level}]


async def test_the_session_is_bound_for_what_is_done_meanwhile_and_for_tasks_that_begin_meanwhile() -> None:
    go = asyncio.Event()

    async def later() -> None:
        await go.wait()
        request_lost(seq=2, exc_info=None)

    with capture_logs(processors=[merge_contextvars]) as logs:
        with about("outer"):
            with about("s"):
                task = asyncio.create_task(later())
                request_lost(seq=1, exc_info=None)
            with about(None):
                request_lost(seq=0, exc_info=None)
        go.set()
        await task
    assert [(line["session"], line["seq"]) for line in logs] == [("s", 1), ("outer", 0), ("s", 2)]
    assert get_contextvars() == {}


def test_every_line_has_the_service_and_what_all_its_lines_have_in_common() -> None:
    """Also one of another thread, and of a library."""
    program = """if True:
        import logging, threading
        from turngate.process import log_events, logging as logs
        from turngate.process.settings import Settings
        logs.configure(Settings(log_format="json"), "gateway", gateway="g-1")
        log_events.stopped()
        thread = threading.Thread(target=log_events.stopped)
        thread.start()
        thread.join()
        logging.getLogger("websockets").warning("odd")
    """
    run = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, check=True, timeout=60)
    lines = [json.loads(line) for line in run.stderr.splitlines()]
    found = [tuple(line[name] for name in ("event", "level", "logger", "service", "gateway")) for line in lines]
    stopped = ("stopped", "info", "turngate.process", "gateway", "g-1")
    assert found == [stopped, stopped, ("odd", "warning", "websockets", "gateway", "g-1")]


def test_a_line_carries_the_trace_of_what_is_done_when_it_is_logged() -> None:
    trace, span = "0af7651916cd43dd8448eb211c80319c", ""
    with capture_logs(processors=[merge_contextvars, merge_trace]) as logs, about("s", lambda: span):
        request_lost(seq=0, exc_info=None)
        span = f"00-{trace}-b7ad6b7169203331-01"
        with about("t"):
            request_lost(seq=1, exc_info=None)
        with about(None, lambda: ""):
            request_lost(seq=2, exc_info=None)
    with capture_logs(processors=[merge_trace]) as after:
        request_lost(seq=3, exc_info=None)
    assert [(one["session"], one.get("trace_id")) for one in logs] == [("s", None), ("t", trace), ("s", None)]
    assert "trace_id" not in after[0]
