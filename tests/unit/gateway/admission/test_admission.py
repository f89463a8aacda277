"""Who is admitted: origin, key, and limits that hold when many come at once."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from gateway.admission.admission import Admission, AdmissionLimits, Reason, Refusal
from gateway.admission.authentication import Authentication
from gateway.admission.credentials import KeyOptions, Keys
from gateway.admission.origins import Origins
from gateway.admission.rates import Rates, retry_after
from gateway.sockets.interface import HttpRequest

ANYBODY = Origins(None, open_to_anybody=True)


class Gate:
    """An admission, and requests that come to it."""

    def __init__(
        self, limits: AdmissionLimits | None = None, *keys: str, origins: Origins = ANYBODY, peer: str | None = None
    ) -> None:
        self.refused: list[Reason] = []
        self.now = 0.0
        self.admission = Admission(
            limits or AdmissionLimits(),
            Authentication(Keys(dict.fromkeys(keys, KeyOptions())) if keys else None),
            origins,
            self.refused.append,
            lambda client: client.asks,
        )
        self._peer = peer
        self._requests = 0

    def request(self, path: str = "/openai", key_in_query: bool = True, **headers: str) -> Refusal | None:
        self._requests += 1
        values = {name.replace("_", "-").lower(): [value] for name, value in headers.items()}
        request = HttpRequest(path, f"session-{self._requests}", lambda name: values.get(name.lower(), []), self._peer)
        return self.admission.request(request, self.now, key_in_query=key_in_query)

    def begin(self, n: int, address: str = "10.0.0.1") -> Refusal | None:
        return self.admission.begin(f"session-{n}", address, self.now)

    def end(self, n: int) -> None:
        self.admission.end(f"session-{n}")


def status(refusal: Refusal | None) -> HTTPStatus | None:
    return None if refusal is None else refusal.status


# --- the gateway's limit


def test_many_requests_at_once_cannot_exceed_the_limit_together() -> None:
    gate = Gate(AdmissionLimits(sessions=5))
    assert [gate.request() is None for _ in range(60)].count(True) == 5
    assert set(gate.refused) == {Reason.GATEWAY_FULL}
    refusal = gate.request()
    assert refusal is not None
    assert (refusal.status, refusal.headers) == (HTTPStatus.TOO_MANY_REQUESTS, {"Retry-After": "5"})


def test_a_place_is_given_back_at_the_end_of_its_session_and_once() -> None:
    gate = Gate(AdmissionLimits(sessions=1))
    gate.request()
    gate.begin(1)
    gate.now = 3600
    assert status(gate.request()) == HTTPStatus.TOO_MANY_REQUESTS, "a session keeps its place"
    gate.end(1)
    gate.end(1)
    assert gate.request() is None
    assert len(gate.admission) == 1


def test_an_upgrade_that_fails_gives_its_place_back_after_a_while() -> None:
    gate = Gate(AdmissionLimits(sessions=1))
    gate.request()
    gate.now = 9.9
    assert status(gate.request()) == HTTPStatus.TOO_MANY_REQUESTS
    gate.now = 10
    assert gate.request() is None


def test_a_session_that_begins_late_is_counted_all_the_same() -> None:
    gate = Gate(AdmissionLimits(sessions=1))
    gate.request()
    gate.now = 11
    gate.request()
    assert gate.begin(1) is None
    gate.end(1)
    assert len(gate.admission) == 1


# --- keys


def test_a_key_has_a_limit_of_its_own() -> None:
    gate = Gate(AdmissionLimits(key_sessions=2), "one", "two")
    assert [status(gate.request(Authorization="Token one")) for _ in range(3)] == [None, None, 429]
    assert gate.request(Authorization="Token two") is None
    gate.end(1)
    assert gate.request(Authorization="Token one") is None
    assert gate.refused == [Reason.KEY_FULL]


def test_a_key_has_a_rate_and_is_told_when_to_come_back() -> None:
    gate = Gate(AdmissionLimits(key_rate=2), "one", "two")
    assert [status(gate.request(Authorization="Token one")) for _ in range(3)] == [None, None, 429]
    assert gate.request(Authorization="Token two") is None
    gate.now = 0.5
    assert gate.request(Authorization="Token one") is None
    assert gate.refused == [Reason.KEY_RATE]


def test_a_session_has_the_options_of_its_key() -> None:
    gate = Gate(None, "one")
    assert gate.admission.key_options("session-1") == KeyOptions()
    assert gate.request(Authorization="Token one") is None
    assert gate.admission.key_options("session-1") == KeyOptions()


def test_a_wrong_key_takes_no_place() -> None:
    gate = Gate(AdmissionLimits(sessions=1, key_rate=1), "one")
    for _ in range(10):
        refusal = gate.request(Authorization="Token wrong")
        assert refusal is not None
        assert (refusal.status, refusal.headers) == (401, {"WWW-Authenticate": "Token, Bearer"})
    assert gate.request(Authorization="Token one") is None


def test_a_key_in_the_url_is_taken_where_the_client_can_send_it_nowhere_else() -> None:
    gate = Gate(None, "one")
    assert gate.request("/openai?token=one&x=1") is None
    assert status(gate.request("/v1/agent/converse?token=one", key_in_query=False)) == 401
    assert status(gate.request("/openai?token=one&token=one")) == 401, "which of them?"
    assert status(gate.request("/openai?token=one", Authorization="Token wrong")) == 401, "a header takes precedence"
    assert status(gate.request("/openai?token=")) == 401


# --- addresses


def test_an_address_that_is_known_before_the_upgrade_is_checked_then() -> None:
    gate = Gate(AdmissionLimits(address_sessions=2, address_rate=100), peer="10.0.0.1")
    assert [status(gate.request()) for _ in range(3)] == [None, None, 429]
    assert gate.begin(1, "10.0.0.1") is None, "it is not counted twice"
    gate.end(1)
    assert gate.request() is None
    assert gate.refused == [Reason.ADDRESS_FULL]


def test_an_address_that_is_known_with_the_connection_only_is_checked_then() -> None:
    gate = Gate(AdmissionLimits(address_sessions=1))
    assert [gate.request() for _ in range(3)] == [None, None, None]
    assert gate.begin(1) is None
    refusal = gate.begin(2)
    assert refusal is not None
    assert refusal.reason is Reason.ADDRESS_FULL
    assert gate.begin(3, "10.0.0.2") is None
    gate.end(2)
    assert status(gate.begin(4)) == 429
    gate.end(4)
    gate.end(1)
    assert gate.begin(5) is None


FULL = AdmissionLimits(sessions=1, address_sessions=1, key_sessions=1)


def test_a_client_that_returns_is_not_counted_as_another_one() -> None:
    gate = Gate(FULL, peer="10.0.0.1")
    assert [gate.request(), gate.begin(1)] == [None, None]
    for returned in (2, 3):
        # The connections before may be half open for a while.
        assert [gate.request("/openai?resume=known"), gate.begin(returned)] == [None, None]
    assert len(gate.admission) == 1
    assert status(gate.request()) == 429
    gate.end(2)
    assert status(gate.request()) == 429, "the session is still there"
    gate.end(1)
    gate.end(3)
    assert gate.request() is None
    assert len(gate.admission) == 1


def test_a_client_that_does_not_find_its_session_is_counted_with_its_own() -> None:
    gate = Gate(FULL, peer="10.0.0.1")
    assert gate.request("/openai?resume=known") is None
    assert gate.request("/openai?resume=known") is None
    gate.admission.new_session("session-1")
    gate.admission.new_session("session-1")
    gate.admission.new_session("unknown")
    assert len(gate.admission) == 1
    assert status(gate.request()) == 429
    gate.end(1)
    assert gate.request() is None


def test_an_address_has_a_rate() -> None:
    gate = Gate(AdmissionLimits(address_rate=1), peer="10.0.0.1")
    assert [status(gate.request()) for _ in range(2)] == [None, 429]
    gate.now = 1
    assert gate.request() is None
    assert gate.refused == [Reason.ADDRESS_RATE]


def test_the_address_behind_a_proxy_is_the_last_one_that_it_names() -> None:
    limits = AdmissionLimits(address_sessions=1, trust_forwarded_for=True)
    gate = Gate(limits, peer="10.0.0.1")
    assert gate.request(X_Forwarded_For="1.1.1.1, 2.2.2.2") is None
    assert status(gate.request(X_Forwarded_For="3.3.3.3,2.2.2.2")) == 429
    assert gate.request(X_Forwarded_For="2.2.2.2, 1.1.1.1") is None
    assert gate.request() is None, "the proxy itself"
    assert status(Gate(AdmissionLimits(address_sessions=1), peer="p").request(X_Forwarded_For="1.1.1.1")) is None


# --- origins


@pytest.mark.parametrize(
    ("origin", "local"),
    [
        ("http://localhost:3000", True),
        ("https://app.localhost", True),
        ("http://127.0.0.1:8080", True),
        ("http://[::1]:8080", True),
        ("https://example.com", False),
        ("https://localhost.example.com", False),
        ("null", False),
        ("http://[", False),
        ("file://", False),
    ],
)
def test_without_keys_only_pages_from_this_machine_connect(origin: str, local: bool) -> None:
    assert ANYBODY.allow([origin]) is local


def test_what_is_no_page_has_no_origin_and_may_connect() -> None:
    assert ANYBODY.allow([])
    assert Origins([], open_to_anybody=False).allow([])


def test_with_keys_any_page_may_connect_unless_origins_are_listed() -> None:
    assert Origins(None, open_to_anybody=False).allow(["https://example.com"])
    listed = Origins(["https://Example.com/"], open_to_anybody=False)
    assert listed.allow(["https://example.com"])
    assert not listed.allow(["http://localhost"])
    assert not listed.allow(["https://example.com", "https://example.com"])
    assert Origins(["*"], open_to_anybody=True).allow(["https://example.com"])


def test_a_page_of_another_origin_is_refused_with_what_to_do() -> None:
    gate = Gate()
    refusal = gate.request(Origin="https://evil.example")
    assert refusal is not None
    assert refusal.status == HTTPStatus.FORBIDDEN
    assert "TURNGATE_ALLOWED_ORIGINS" in refusal.text
    assert gate.refused == [Reason.ORIGIN]
    assert gate.request(Origin="http://localhost:5173") is None


# --- rates


def test_a_rate_allows_a_burst_of_one_second_and_then_its_pace() -> None:
    rates = Rates(10)
    assert sum(rates.take("a", 0) == 0 for _ in range(100)) == 10
    assert rates.take("a", 0) == pytest.approx(0.1)
    assert sum(rates.take("a", n / 100) == 0 for n in range(1, 111)) in (10, 11)
    assert sum(rates.take("b", 1) == 0 for _ in range(100)) == 10


def test_a_rate_below_one_allows_one_at_a_time() -> None:
    rates = Rates(0.5)
    assert [rates.take("a", 0) for _ in range(2)] == [0, 2]
    assert rates.take("a", 2) == 0


def test_no_rate_is_no_limit_and_what_is_remembered_is_bounded() -> None:
    unlimited = Rates(0)
    assert sum(unlimited.take("a", 0) for _ in range(1000)) == 0
    rates = Rates(1)
    for n in range(10_001):
        rates.take(str(n), 0)
    assert rates.take("0", 0) == 0, "forgotten"
    assert rates.take("10000", 0) > 0


@pytest.mark.parametrize(("seconds", "value"), [(0.01, "1"), (1, "1"), (1.2, "2")])
def test_retry_after_is_whole_seconds(seconds: float, value: str) -> None:
    assert retry_after(seconds) == value
