"""What ``turngate doctor`` says of an upstream that cannot be used, and that it shows no secrets."""

from __future__ import annotations

import socket
import ssl

import pytest

from gateway.config import GatewaySettings
from turngate.cli.doctor.findings import Finding, Level
from turngate.cli.doctor.refusals import Refusal, of_refusal, of_silence
from turngate.cli.doctor.secrets import hidden, secrets_of


@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [
        (401, None, "OPENAI_API_KEY"),
        (401, "insufficient_quota", "credit"),
        (403, None, "project"),
        (404, None, "TURNGATE_UPSTREAM_MODEL"),
        (400, "model_not_found", "TURNGATE_UPSTREAM_MODEL"),
        (407, None, "https_proxy"),
        (429, None, "rate limit"),
        (429, "insufficient_quota", "credit"),
        (429, "unheard_of", "rate limit"),
        (307, None, "where it leads"),
        (500, None, "later"),
        (503, None, "later"),
        (3000, None, "valid"),
        (None, "invalid_api_key", "valid"),
        (None, "invalid_model", "TURNGATE_UPSTREAM_MODEL"),
        (418, None, "TURNGATE_UPSTREAM_URL"),
        (None, None, "TURNGATE_UPSTREAM_URL"),
    ],
)
def test_a_refusal_says_what_to_do(status: int | None, code: str | None, remedy: str) -> None:
    finding = of_refusal("upstream", Refusal("refused", status, code))
    assert (finding.level, finding.check, finding.found) == (Level.ERROR, "upstream", "refused")
    assert remedy in finding.remedy


def certificate_error() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError("certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("error", "simulated", "found", "remedy"),
    [
        (certificate_error(), False, "self-signed certificate", "SSL_CERT_FILE"),
        (ssl.SSLError("wrong version number"), False, "wrong version number", "wss://"),
        (ConnectionResetError(), False, "closes the connection", "wss://"),
        (socket.gaierror(), False, "name", "TURNGATE_UPSTREAM_URL"),
        (ConnectionRefusedError(), False, "nothing listens", "TURNGATE_UPSTREAM_URL"),
        (ConnectionRefusedError(), True, "nothing listens", "turngate simulator"),
        (TimeoutError(), False, "in time", "network"),
        (ConnectionError("did not receive a valid HTTP response"), False, "valid HTTP response", "network"),
        (OSError(113, "No route to host"), False, "No route to host", "network"),
    ],
)
def test_no_connection_says_what_to_do(error: OSError, simulated: bool, found: str, remedy: str) -> None:
    finding = of_silence("upstream", error, simulated=simulated)
    assert finding.level is Level.ERROR
    assert found in finding.found
    assert remedy in finding.remedy


def test_what_is_secret_in_an_environment() -> None:
    env = {
        "OPENAI_API_KEY": "sk-1234",
        "TURNGATE_API_KEYS": "first latency_reports=0, second",
        "TURNGATE_TOKEN_SECRET": "signs",
        "TURNGATE_REDIS_URL": "redis://user:p%40ss@host/0",
        "TURNGATE_REDIS_URLS": "one=redis://:in-1@one/0 two=redis+sentinel://two/talks?sentinel_password=in-2",
        "TURNGATE_UPSTREAM_URL": "wss://host/v1?api-key=azure&model=gpt-realtime",
        "TURNGATE_GATEWAY_HOST": "localhost",
    }
    found = secrets_of(env, [GatewaySettings])
    assert {"sk-1234", "first", "second", "signs", "p%40ss", "p@ss", "azure", "in-1", "in-2"} <= set(found)
    assert not {"", "localhost", "gpt-realtime", "user"} & set(found)


def test_secrets_are_not_shown() -> None:
    finding = Finding(Level.ERROR, "upstream", "Incorrect API key provided: sk-1234-5.", "check it")
    assert hidden(finding, secrets_of({"OPENAI_API_KEY": "sk-1234-5"}, [GatewaySettings])) == Finding(
        Level.ERROR, "upstream", "Incorrect API key provided: ….", "check it"
    )
