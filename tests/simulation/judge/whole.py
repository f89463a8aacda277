"""What is asked of a session as a whole: it comes to rest, within its bounds (P8), without an error that nobody can
explain, and in good weather without delay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.simulation.judge import liveness
from tests.simulation.judge.facts import Facts
from tests.simulation.judge.violation import Violation
from tests.simulation.script import REFUSED_LANGUAGE, Do

_NEVER_SHOWN = ("conversation_already_has_active_response", "response_cancel_not_active", "cannot_update_voice")
_OF_BABBLE = ("UNPARSABLE_CLIENT_MESSAGE", "NON_SETTINGS_MESSAGE_BEFORE_SETTINGS", "SETTINGS_ALREADY_APPLIED")
#: In good weather, what nothing is in the way of goes within so many ways through the broker, and so many seconds: long
#: before a lease ends or a heartbeat comes.
_HOPS, _BEYOND = 30, 0.1


def check(facts: Facts) -> Iterator[Violation]:
    outcome = facts.outcome
    end = outcome.history[-1].at if outcome.history else 0.0
    if outcome.crash:
        yield Violation("crash", end, outcome.crash)
        return
    if outcome.unfinished:
        yield Violation("alive" if outcome.plan.sickness is None else "P10", end, outcome.unfinished)
    if outcome.lost:
        yield Violation("P15", end, f"the session is lost: {outcome.lost}")
    limits = outcome.plan.limits
    if outcome.most_client_requests > limits.requests or outcome.most_requests > limits.requests + limits.calls:
        yield Violation("P8", end, f"{outcome.most_requests} requests were kept, where {limits.requests} may be")
    if outcome.most_calls > limits.calls:
        yield Violation("P8", end, f"{outcome.most_calls} calls were kept, where {limits.calls} may be")
    if outcome.plan.sickness is not None:
        yield from liveness.check(facts)
        return
    # A client that is gone may send its first Settings late: what came before them waits.
    late = outcome.script.returns
    configured = bool(facts.of_type("SettingsApplied")) and not late
    if outcome.plan.calm and configured and outcome.republished:
        yield Violation("prompt", end, f"{outcome.republished} requests had to be published again in good weather")
    if outcome.plan.calm and outcome.longest_wait > _HOPS * outcome.plan.hop + _BEYOND:
        yield Violation("prompt", end, f"a request waited for nothing, {outcome.longest_wait:.1f} s in good weather")
    yield from _errors(facts)


def _errors(facts: Facts) -> Iterator[Violation]:
    outcome = facts.outcome
    done = {step.do for step in outcome.script.steps}
    said = [request.message for request in facts.requests]
    unconfigured = not facts.of_type("SettingsApplied")
    for place, message in facts.of_type("Error"):
        code, at = message["code"], outcome.history[place].at
        if code in _NEVER_SHOWN:
            yield Violation("P6", at, f"the client is shown {code}")
        elif not (
            code in _OF_BABBLE
            or (code == "REQUEST_TIMED_OUT" and (outcome.plan.hopeless or (unconfigured and not _is_settings(message))))
            or (code == "INVALID_SETTINGS" and any("sessionAudioOutput" in str(message) for message in said))
            or (code == "invalid_value" and any(REFUSED_LANGUAGE in str(message) for message in said))
            or (code == "server_error" and done & {Do.FAIL_CREATE, Do.FAIL_UPDATE})
            # It was refused again and again, until time was up.
            or (code == "upstream_refused" and facts.losses and Do.FAIL_UPDATE in done)
            or (code == "server_error" and any("[fail]" in str(message) for message in said))
            or (code.startswith("upstream_closed") and outcome.cut_short)
        ):
            yield Violation("P3", at, f"unexpected {message}")


def _is_settings(message: dict[str, Any]) -> bool:
    """Whether an error is about ``Settings``: whatever else comes before them waits for them."""
    return str(message["description"]).startswith("Settings ")
