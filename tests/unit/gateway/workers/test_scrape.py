"""The metrics of several processes as one page, read by the client library's own parser."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gateway.workers.scrape import merged


def page(count: int, *, only_here: bool = False) -> str:
    """The metrics of a process that has done something ``count`` times."""
    registry = CollectorRegistry()
    Counter("done", "What was done.\nWith a second line, and a # { in it.", registry=registry).inc(count)
    refused = Counter("refused", "By reason.", ["reason"], registry=registry)
    refused.labels('a "quoted" one } 1').inc(count)
    took = Histogram("took", "Seconds.", buckets=(1, 2), registry=registry)
    took.observe(count)
    if only_here:
        Gauge("here", "Only here.", registry=registry).set(7)
    return generate_latest(registry).decode()


def samples(text: str) -> dict[tuple[str, str], float]:
    """The samples of all families by name and worker. A family that is described twice would be an error for
    Prometheus, and is one here."""
    found: dict[tuple[str, str], float] = {}
    families: set[str] = set()
    for family in text_string_to_metric_families(text):
        assert family.name not in families, family.name
        families.add(family.name)
        for sample in family.samples:
            if "le" not in sample.labels:
                found[sample.name, sample.labels["worker"]] = sample.value
    return found


def test_each_series_has_the_name_of_its_process() -> None:
    found = samples(merged({"1": page(3), "2": page(5)}))
    assert (found["done_total", "1"], found["done_total", "2"]) == (3, 5)
    assert (found["refused_total", "1"], found["refused_total", "2"]) == (3, 5)
    assert (found["took_sum", "1"], found["took_sum", "2"]) == (3, 5)


def test_the_labels_and_descriptions_stay() -> None:
    (family,) = [one for one in text_string_to_metric_families(merged({"1": page(3)})) if one.name == "refused"]
    assert (family.type, family.documentation) == ("counter", "By reason.")
    assert family.samples[0].labels == {"reason": 'a "quoted" one } 1', "worker": "1"}


def test_what_one_process_has_alone_is_there_once() -> None:
    found = samples(merged({"1": page(1), "2": page(1, only_here=True), "3": page(1)}))
    assert [worker for name, worker in found if name == "here"] == ["2"]


def test_no_process_makes_an_empty_page() -> None:
    assert merged({}) == ""
