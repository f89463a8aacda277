"""Errors in client messages, in the form in which they are reported to the client."""

from __future__ import annotations

UNPARSABLE = "UNPARSABLE_CLIENT_MESSAGE"
INVALID_SETTINGS = "INVALID_SETTINGS"
AGENT_ID_NOT_SUPPORTED = "AGENT_ID_NOT_SUPPORTED"


class ClientProtocolError(Exception):
    """An invalid client message. The caller answers it with an ``Error`` of this code and description.

    ``description`` is one sentence for the developer of the client. ``field`` is the path of the invalid field as the
    client wrote it (``agent.think.provider.model``), or None if the whole message is invalid.
    """

    def __init__(self, code: str, description: str, field: str | None = None) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description
        self.field = field


class UnknownMessageTypeError(ClientProtocolError):
    """A message of a type that clients may not send. Its code depends on the dialect: see `Dialect.code_of`."""

    def __init__(self, message_type: str) -> None:
        super().__init__(UNPARSABLE, f"There is no client message of type `{message_type}`.", "type")
