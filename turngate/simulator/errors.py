"""Errors of the Realtime API: one exception with the contents of an ``error`` event."""

from __future__ import annotations

from typing import Any


class RefusedError(Exception):
    """The client event is refused. Send `body` in an ``error`` event; the session continues.

    ``param`` is the path of the invalid field, or None.
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
        """The ``error`` object; ``event_id`` is the refused event's ``event_id``, or None if it had none."""
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
    """The error for a value outside a list. Like the live service's, the message names the whole list."""
    values = ", ".join(f"'{name}'" for name in supported)
    return invalid(param, f"Invalid value: '{value}'. Supported values are: {values}.")
