"""A tracer for tests of cores: its spans are shown as those that a collector has received."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.collector import Received, tree
from turngate.tracing.spans import NOT_SAMPLED, Attributes, Kind, Span


class RecordedSpan:
    """A span, as it is so far."""

    def __init__(self, begun: Received) -> None:
        self.over = False
        self._begun = begun
        self._ended_at = begun.ended_at
        self._failed = begun.failed
        self._links = begun.links

    @property
    def known(self) -> Received:
        return replace(self._begun, ended_at=self._ended_at, failed=self._failed, links=self._links)

    @property
    def traceparent(self) -> str:
        return f"00-{self._begun.trace}-{self._begun.id}-01"

    def set(self, attributes: Attributes) -> None:
        assert not self.over
        self._begun.attributes.update(attributes)

    def link(self, traceparent: str) -> None:
        if traceparent:
            self._links = (*self._links, _ids(traceparent))

    def end(self, at: float, error: str = "") -> None:
        assert not self.over, "a span ends once"
        assert at >= self._begun.began_at
        self.over = True
        if error:
            self._begun.attributes["error.type"] = error
        self._ended_at, self._failed = at, bool(error)


class RecordingTracer:
    """Keeps all spans; makes none if ``sampled`` is False."""

    def __init__(self, *, sampled: bool = True, words: bool = False) -> None:
        self.words = words
        self.sampled = sampled
        self.spans: list[RecordedSpan] = []

    def start(
        self,
        name: str,
        at: float,
        *,
        parent: str | None = None,
        kind: Kind = Kind.INTERNAL,
        attributes: Attributes | None = None,
        links: Sequence[str] = (),
    ) -> Span:
        if parent == "" or (parent is None and not self.sampled):
            return NOT_SAMPLED
        own = f"{len(self.spans) + 1:016x}"
        trace, above = (f"{len(self.spans) + 1:032x}", "") if parent is None else _ids(parent)
        seen = Received(
            "turngate-core", name, 0, trace, own, above, at, 0, dict(attributes or {}), tuple(map(_ids, links)), False
        )
        self.spans.append(RecordedSpan(seen))
        return self.spans[-1]

    @property
    def open(self) -> list[str]:
        """The names of the spans that have not ended."""
        return [span.known.name for span in self.spans if not span.over]

    def named(self, name: str, number: int = 0) -> Received:
        """The span with this name, by its place among those with it."""
        return [span.known for span in self.spans if span.known.name == name][number]

    @property
    def traces(self) -> list[list[str]]:
        """Every trace whose spans have all ended, in the order in which they began."""
        traces: dict[str, list[RecordedSpan]] = {}
        for span in self.spans:
            traces.setdefault(span.known.trace, []).append(span)
        return [
            [line.replace("core: ", "") for line in tree([span.known for span in trace])]
            for trace in traces.values()
            if all(span.over for span in trace)
        ]


def _ids(traceparent: str) -> tuple[str, str]:
    _, trace, span, _ = traceparent.split("-")
    return trace, span
