"""The two dialects of the client protocol, as data. The path of the upgrade request selects one.

A dialect determines what is an error and what is sent, as flags; there are no separate implementations.
"""

from __future__ import annotations

from dataclasses import dataclass

from turngate.protocol.deepgram import UNPARSABLE, ClientProtocolError, Omitted, UnknownMessageTypeError


@dataclass(frozen=True, slots=True)
class Dialect:
    name: str
    #: The path of the upgrade request, without the query.
    path: str
    #: An unknown field is an error (True) or is named once in a ``Warning`` (False).
    strict_fields: bool
    #: A second ``Settings`` reconfigures the session (True) or is `SETTINGS_ALREADY_APPLIED` (False).
    settings_may_repeat: bool
    #: The messages allowed before the first ``Settings``; any other is `NON_SETTINGS_MESSAGE_BEFORE_SETTINGS`.
    messages_before_settings: frozenset[str]
    #: A first message that is not a valid ``Settings`` ends the session (True) or is only an error (False).
    ends_on_bad_start: bool
    #: The error code for a message type that clients may not send.
    unknown_message_code: str
    #: The greeting is spoken by the agent (True) or only sent as text (False).
    speaks_greeting: bool
    #: Sends ``Transcript``, ``UtteranceEnd``, ``AgentDone``, and ``AgentThinking`` after a function result; treats a
    #: reply that only calls functions as one in which the agent speaks.
    sends_extensions: bool
    #: Sends ``AgentThinking`` when a reply starts, ``LatencyReport`` for its stages, a ``Warning`` if it is slow to
    #: start, and a copy of each accepted ``FunctionCallResponse``.
    sends_progress: bool
    #: Clients send ``KeepAlive`` while they have nothing else to send, so a short silence means that they are gone.
    sends_keep_alive: bool
    #: Sends ``History``, unless the client's ``flags.history`` is false.
    sends_history: bool
    #: Values for what its clients may omit from ``Settings``; None if everything is required.
    omitted: Omitted | None
    #: The key may be in the URL (``?token=``), for clients that can send it nowhere else. A token always may.
    key_in_query: bool
    #: A prompt that is too long is truncated with a ``Warning`` (True), or sent unchanged (False).
    truncates_prompts: bool

    def code_of(self, error: ClientProtocolError) -> str:
        """The code of ``error`` in this dialect."""
        return self.unknown_message_code if isinstance(error, UnknownMessageTypeError) else error.code


AGENT = Dialect(
    name="agent",
    path="/v1/agent/converse",
    strict_fields=True,
    settings_may_repeat=False,
    messages_before_settings=frozenset({"KeepAlive"}),
    ends_on_bad_start=True,
    unknown_message_code=UNPARSABLE,
    speaks_greeting=True,
    sends_extensions=False,
    sends_progress=True,
    sends_keep_alive=True,
    sends_history=True,
    truncates_prompts=True,
    key_in_query=False,
    omitted=None,
)

COMPONENT = Dialect(
    name="component",
    path="/openai",
    strict_fields=False,
    settings_may_repeat=True,
    messages_before_settings=frozenset({"KeepAlive", "InjectUserMessage"}),
    ends_on_bad_start=False,
    unknown_message_code="disallowed_client_message_type",
    speaks_greeting=False,
    sends_extensions=True,
    sends_progress=False,
    sends_keep_alive=False,
    sends_history=False,
    truncates_prompts=False,
    key_in_query=True,
    omitted=Omitted(
        audio={
            "input": {"encoding": "linear16", "sample_rate": 16_000},
            "output": {"encoding": "linear16", "sample_rate": 24_000},
        },
        think_provider={"type": "open_ai"},
    ),
)

DIALECTS = {dialect.path: dialect for dialect in (AGENT, COMPONENT)}
BY_NAME = {dialect.name: dialect for dialect in (AGENT, COMPONENT)}
