"""Crowd after crowd with a random fault in each, for as long as ``CHAOS_MINUTES`` says; `make chaos` runs this."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from random import Random

import pytest

from tests.chaos.conftest import DELAY
from tests.chaos.faults import FAULTS
from tests.chaos.run import hold, stack_for_faults
from tests.progress import Progress

MINUTES = float(os.environ.get("CHAOS_MINUTES", "0"))
SEED = os.environ.get("CHAOS_SEED") or str(time.time_ns())


# It runs for as many minutes as `make chaos` says. In `make test`, test_faults.py runs each of its faults once.
@pytest.mark.skipif(MINUTES <= 0, reason="for long: make chaos CHAOS_MINUTES=10")
async def test_nothing_breaks_in_the_long_run(record_property: Callable[[str, object], None]) -> None:
    print(f"CHAOS_SEED={SEED}")
    random = Random(SEED)
    began, seconds, crowds = time.monotonic(), round(60 * MINUTES), 0
    progress = Progress(seconds, "seconds")
    async with stack_for_faults() as stack:
        undisturbed = await hold(stack)
        while (passed := time.monotonic() - began) < seconds:
            progress.at(round(passed), f"{crowds} crowds")
            name = random.choice(list(FAULTS))
            held = await hold(stack, FAULTS[name], random)
            crowds += 1
            record_property(DELAY, f"{name}: {held.later_than(undisturbed)}")
    progress.close()
