"""What production code takes from its surroundings, taken from the seed instead; and what it logs as a problem."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import structlog

import session_state.store
import translator.app

#: Log events that say that something is wrong which no weather explains.
_LEVELS = ("error",)
_EVENTS = ("entry_failed", "not_acknowledged")


@contextmanager
def determined(seed: int, problems: list[str]) -> Iterator[None]:
    """Random numbers and ids are drawn from the seed meanwhile, nothing is printed, and problems that are logged are
    appended to ``problems``."""

    def take(_: Any, level: str, event: MutableMapping[str, Any]) -> Any:
        if level in _LEVELS or event["event"] in _EVENTS:
            problems.append(str({name: repr(value) for name, value in event.items()}))
        raise structlog.DropEvent

    state, logging = random.getstate(), structlog.get_config()
    ids = (UUID(int=number) for number in itertools.count(1))
    makers = [(module, module.uuid4) for module in (session_state.store, translator.app)]
    try:
        random.seed(seed)
        structlog.configure(processors=[take], cache_logger_on_first_use=False)
        for module, _ in makers:
            module.uuid4 = lambda: next(ids)  # type: ignore[attr-defined]
        yield
    finally:
        for module, maker in makers:
            module.uuid4 = maker  # type: ignore[attr-defined]
        structlog.configure(**logging)
        random.setstate(state)
