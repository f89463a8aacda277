"""Announced ends of models."""

from __future__ import annotations

from datetime import date

from turngate.protocol.openai.models import ANNOUNCED_ENDS, DEFAULT_REALTIME, DEFAULT_TRANSCRIPTION, end_of


def test_no_default_has_an_announced_end_and_each_replacement_lasts() -> None:
    for model in (DEFAULT_REALTIME, DEFAULT_TRANSCRIPTION, *(end.replacement for end in ANNOUNCED_ENDS.values())):
        assert end_of(model) is None


def test_what_the_upstream_says_itself_counts() -> None:
    end = end_of("gpt-realtime")
    assert end is not None
    assert (end.on, end.replacement) == (date(2027, 1, 20), "gpt-realtime-2.1")
    sooner = end_of("gpt-realtime", date(2027, 1, 1))
    assert sooner is not None
    assert (sooner.on, sooner.replacement) == (date(2027, 1, 1), "gpt-realtime-2.1")
    new = end_of("gpt-realtime-2.1", date(2028, 1, 1))
    assert new is not None
    assert (new.on, new.replacement) == (date(2028, 1, 1), "")
