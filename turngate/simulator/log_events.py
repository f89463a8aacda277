"""The events that the simulator logs."""

from __future__ import annotations

from turngate.process.log_event import debug, info


@info()
def simulator_started(*, url: str, pace: float) -> None:
    """The simulator accepts connections at this address, and speaks at this pace."""


@info()
def simulator_stopped() -> None:
    """The simulator has stopped."""


@info("Look at the reason: a test asked for it, or the key or the model is not one that the simulator accepts.")
def simulated_session_refused(*, reason: str) -> None:
    """A connection to the simulator was refused."""


@debug()
def simulated_session_ended(*, simulated: str, close_code: int | None) -> None:
    """A connection to the simulator has ended."""
