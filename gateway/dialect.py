"""The two dialects of the client protocol, as data. The client chooses by the path of its upgrade request.

A dialect says what is an error and what is sent; it is never a second code path.
"""

from __future__ import annotations

from dataclasses import dataclass

from turngate.protocol.deepgram import UNPARSABLE, ClientProtocolError, Omitted, UnknownMessageTypeError


@dataclass(frozen=True, slots=True)
class Dialect:
    name: str
    #: Of the upgrade request, without the query.
    path: str
    #: An unknown field is an error (True) or named once in a ``Warning`` (False).
    strict_fields: bool
    #: A second ``Settings`` reconfigures the session (True) or is `SETTINGS_ALREADY_APPLIED` (False).
    settings_may_repeat: bool
    #: What a client may send before its first ``Settings``; anything else is `NON_SETTINGS_MESSAGE_BEFORE_SETTINGS`.
    messages_before_settings: frozenset[str]
    #: A first message that is not a valid ``Settings`` ends the session (True) or is only an error (False).
    ends_on_bad_start: bool
    #: The code of the error for a message type that no client may send.
    unknown_message_code: str
    #: The greeting is said by the agent (True) or only shown as text (False).
    speaks_greeting: bool
    #: Sends ``Transcript``, ``UtteranceEnd``, ``AgentThinking`` and ``AgentDone``, and treats a reply that only calls
    #: functions as one in which the agent speaks.
    sends_extensions: bool
    #: Tells how a reply comes about: ``AgentThinking`` when it begins, ``LatencyReport`` for its stages, a ``Warning``
    #: while it is slow to come, and a copy of each ``FunctionCallResponse`` that is taken.
    sends_progress: bool
    #: A client that sends nothing for the idle limit is gone: `CLIENT_MESSAGE_TIMEOUT` (True). The component expects to
    #: be left alone (False).
    ends_on_silence: bool
    #: Sends ``History``, unless the client's ``flags.history`` is false.
    sends_history: bool
    #: What its clients leave out of ``Settings``; None where everything is required.
    omitted: Omitted | None
    #: A prompt that is too long is truncated, with a ``Warning`` (True), or left to the upstream (False).
    truncates_prompts: bool

    def code_of(self, error: ClientProtocolError) -> str:
        """The code under which this dialect's clients know ``error``."""
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
    ends_on_silence=True,
    sends_history=True,
    truncates_prompts=True,
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
    ends_on_silence=False,
    sends_history=False,
    truncates_prompts=False,
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
