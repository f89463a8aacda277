"""The upstream's errors: one exception that carries what the ``error`` event says."""

from __future__ import annotations

from typing import Any


class RefusedError(Exception):
    """A client event that has no effect. Send `body` in an ``error`` event; the session goes on.

    ``param`` is the path of the offending field as the client wrote it, or None.
    """

    def __init__(
        self, code: str | None, message: str, *, param: str | None = None, kind: str = "invalid_request_error"
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.kind = kind

    def body(self, event_id: str | None) -> dict[str, Any]:
        """The ``error`` object; ``event_id`` is the client's id of the refused event, None if it sent none."""
        return {
            "type": self.kind,
            "code": self.code,
            "message": self.message,
            "param": self.param,
            "event_id": event_id,
        }


def missing(param: str) -> RefusedError:
    return RefusedError("missing_required_parameter", f"Missing required parameter: '{param}'.", param=param)


def unknown(param: str) -> RefusedError:
    return RefusedError("unknown_parameter", f"Unknown parameter: '{param}'.", param=param)


def invalid(param: str, message: str) -> RefusedError:
    return RefusedError("invalid_value", message, param=param)


def unsupported(param: str, value: object, supported: tuple[str, ...]) -> RefusedError:
    """A value outside a list; the message names the whole list, as the live service's does."""
    values = ", ".join(f"'{name}'" for name in supported)
    return invalid(param, f"Invalid value: '{value}'. Supported values are: {values}.")
