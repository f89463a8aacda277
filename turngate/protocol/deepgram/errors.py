"""What a client can do wrong, as the error that it is told."""

from __future__ import annotations

UNPARSABLE = "UNPARSABLE_CLIENT_MESSAGE"
INVALID_SETTINGS = "INVALID_SETTINGS"
AGENT_ID_NOT_SUPPORTED = "AGENT_ID_NOT_SUPPORTED"


class ClientProtocolError(Exception):
    """A client message that cannot be used. Answer it with an ``Error`` of this code and description.

    ``description`` is one sentence for the person who wrote the client. ``field`` is the path of the field that is
    wrong, as that person writes it (``agent.think.provider.model``); None when it is the message as a whole.
    """

    def __init__(self, code: str, description: str, field: str | None = None) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description
        self.field = field


class UnknownMessageTypeError(ClientProtocolError):
    """JSON of a type that no client may send. The dialects have different codes for it: ask `Dialect.code_of`."""

    def __init__(self, message_type: str) -> None:
        super().__init__(UNPARSABLE, f"There is no client message of type `{message_type}`.", "type")
