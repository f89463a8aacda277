"""Why an upstream cannot be used, and what to do about it. No I/O."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

from turngate.cli.doctor.findings import Finding, failed

_KEY = "set OPENAI_API_KEY to a key that is valid there: this one is missing, mistyped or revoked"
_MODEL = "check that TURNGATE_UPSTREAM_MODEL exists for this key, and the path of TURNGATE_UPSTREAM_URL"
_QUOTA = "add credit to the account of OPENAI_API_KEY, or raise its limit of spending"
_RATE = "wait, or raise the rate limit of the account of OPENAI_API_KEY"
_OUTAGE = "try again later: the upstream is in trouble"
#: By OpenAI's code, which says more than the status.
_BY_CODE = {
    "invalid_api_key": _KEY,
    "model_not_found": _MODEL,
    "invalid_model": _MODEL,
    "missing_model": _MODEL,
    "insufficient_quota": _QUOTA,
    "billing_hard_limit_reached": _QUOTA,
    "rate_limit_exceeded": _RATE,
    "server_error": _OUTAGE,
}
#: By HTTP status, or by the close code with which OpenAI refuses after the upgrade.
_BY_STATUS = {
    401: _KEY,
    403: "allow the project of OPENAI_API_KEY to use the Realtime API, and see whether a proxy or the region blocks it",
    404: _MODEL,
    407: "give the proxy of the environment (https_proxy) its user name and password",
    429: _RATE,
    3000: _KEY,
}
_OTHERWISE = "check OPENAI_API_KEY, TURNGATE_UPSTREAM_URL and TURNGATE_UPSTREAM_MODEL"
_ADDRESS = "check TURNGATE_UPSTREAM_URL, the network, and the proxy of the environment (https_proxy)"

_SCHEME = "check the scheme and the port of TURNGATE_UPSTREAM_URL: wss:// needs a server with TLS, ws:// one without"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An upstream's answer that is no session."""

    #: What happened, as a phrase.
    said: str
    #: The HTTP status, or the close code after the upgrade; None if it sent neither.
    status: int | None = None
    #: OpenAI's code of the error.
    code: str | None = None


def of_refusal(check: str, refusal: Refusal) -> Finding:
    """What to do about a refusal: by its code, and otherwise by its status."""
    status = refusal.status
    if refusal.code in _BY_CODE:
        remedy = _BY_CODE[refusal.code]
    elif status in _BY_STATUS:
        remedy = _BY_STATUS[status]
    elif status is not None and 300 <= status < 400:
        remedy = "set TURNGATE_UPSTREAM_URL to where it leads: the key is not sent to another address"
    elif status is not None and 500 <= status < 600:
        remedy = _OUTAGE
    else:
        remedy = _OTHERWISE
    return failed(check, refusal.said, remedy)


def of_silence(check: str, error: OSError, *, simulated: bool) -> Finding:
    """No connection could be opened. A ``simulated`` upstream is the simulator, which may not run."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return failed(
            check,
            f"its TLS certificate is not accepted ({error.verify_message or error})",
            "check the host of TURNGATE_UPSTREAM_URL and the clock, and name the authority of a proxy that decrypts "
            "TLS in SSL_CERT_FILE",
        )
    if isinstance(error, ssl.SSLError):
        return failed(
            check,
            f"TLS failed ({error})",
            _SCHEME,
        )
    if isinstance(error, ConnectionResetError):
        return failed(check, "closes the connection before it has answered", _SCHEME)
    if simulated:
        return failed(
            check, _why(error), "start the simulator (`turngate simulator`), or set OPENAI_API_KEY to use OpenAI"
        )
    return failed(check, _why(error), _ADDRESS)


def _why(error: OSError) -> str:
    match error:
        case socket.gaierror():
            return "its name cannot be resolved"
        case ConnectionRefusedError():
            return "nothing listens there"
        case TimeoutError():
            return "does not answer in time"
        case _:
            return f"cannot be reached ({error.strerror or str(error) or type(error).__name__})"
