"""The messages that clients send, one model for each. `turngate.protocol.deepgram.parse` parses them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import orjson
from pydantic import AliasChoices, Field, model_validator

from turngate.protocol.deepgram.settings import Agent, Audio, Flags, InputAudio, Listen, OutputAudio, Speak, Think
from turngate.protocol.deepgram.values import ClientValue, Many, OneOrMany

Text = Annotated[str, Field(min_length=1)]


class Message(ClientValue):
    """Base of the client messages."""

    def wire(self) -> dict[str, Any]:
        """The message as a JSON object with only the fields that were set, for `ClientEvent.message`."""
        return {"type": type(self).__name__} | self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class Settings(Message):
    type: Literal["Settings"] = "Settings"
    tags: Many[str] | None = None
    experimental: bool | None = None
    flags: Flags | None = None
    mip_opt_out: bool | None = None
    audio: Audio
    agent: Agent

    @property
    def input_audio(self) -> InputAudio:
        """The format of the client's audio; linear16 at 24 kHz by default."""
        return self.audio.input or InputAudio()

    @property
    def output_audio(self) -> OutputAudio:
        """The requested format of the agent's audio; linear16 at 24 kHz by default."""
        return self.audio.output or OutputAudio()

    @property
    def greeting(self) -> str | None:
        """The agent's greeting; None if there is none, or if an earlier conversation is continued."""
        continued = self.agent.context is not None and self.agent.context.messages
        return None if continued else self.agent.greeting or None

    @property
    def history_enabled(self) -> bool:
        return self.flags is None or self.flags.history is not False

    @property
    def end_of_turn_timeout_ms(self) -> int | None:
        """``eot_timeout_ms``: the longest silence within a turn of the user, in milliseconds."""
        listen = self.agent.listen
        return None if listen is None else listen.provider.eot_timeout_ms

    @property
    def manual_audio_commit(self) -> bool:
        """Whether the gateway detects the user's turns and commits the audio, instead of the upstream."""
        return bool(self.agent.use_manual_audio_commit)


class UpdatePrompt(Message):
    type: Literal["UpdatePrompt"] = "UpdatePrompt"
    prompt: str


class UpdateThink(Message):
    type: Literal["UpdateThink"] = "UpdateThink"
    think: OneOrMany[Think]


class UpdateSpeak(Message):
    type: Literal["UpdateSpeak"] = "UpdateSpeak"
    speak: OneOrMany[Speak]


class UpdateListen(Message):
    type: Literal["UpdateListen"] = "UpdateListen"
    listen: Listen


class InjectUserMessage(Message):
    type: Literal["InjectUserMessage"] = "InjectUserMessage"
    content: Text


class InjectAgentMessage(Message):
    type: Literal["InjectAgentMessage"] = "InjectAgentMessage"
    #: Called ``content`` in older documentation.
    message: Text = Field(validation_alias=AliasChoices("message", "content"))
    behavior: Literal["default", "queue", "interrupt"] = "default"


class FunctionCallResponse(Message):
    """A client's answer to a ``FunctionCallRequest``, in any of the forms that clients use."""

    type: Literal["FunctionCallResponse"] = "FunctionCallResponse"
    #: The call's id. Clients that run one call at a time may omit it and send the name.
    id: str | None = None
    name: str | None = None
    content: str | None = None
    result: Any = None
    error: str | None = None
    thought_signature: str | None = None

    @model_validator(mode="after")
    def _has_a_result(self) -> FunctionCallResponse:
        if self.content is None and self.error is None and "result" not in self.model_fields_set:
            raise ValueError("needs `content`, `result` or `error`")
        return self

    @property
    def output(self) -> str:
        """The output for the model: ``content``, or else the error or the result as JSON."""
        if self.content is not None:
            return self.content
        return orjson.dumps(self.result if self.error is None else {"error": self.error}).decode()


class KeepAlive(Message):
    """Keeps the session alive while the client sends nothing else. Not answered."""

    type: Literal["KeepAlive"] = "KeepAlive"


class ForceEndTurn(Message):
    """Ends the user's turn now: the audio is committed and answered. No effect if no turn is open."""

    type: Literal["ForceEndTurn"] = "ForceEndTurn"


class CustomToThinkProvider(Message):
    """A message for the provider of the model. Ignored with a ``Warning``, because the upstream has no counterpart."""

    type: Literal["__customToThinkProvider"] = "__customToThinkProvider"
    content: Any = None


class LateFunctionResult(Message):
    """Created by the gateway for a client's result of a function call that was reported as unanswered before. Never
    accepted from a client."""

    type: Literal["LateFunctionResult"] = "LateFunctionResult"
    id: str
    name: str
    output: str


class ReplyCutOff(Message):
    """Created by the gateway when the connection to the model was lost in the middle of a reply: ``heard`` is what the
    client has heard of it, and ``rest`` what is left to be said, if the words were given. Never accepted from a
    client."""

    type: Literal["ReplyCutOff"] = "ReplyCutOff"
    heard: str
    rest: str | None = None


class UserTurnEnded(Message):
    """Created by the gateway when the user's speech has ended and needs a response. Never accepted from a client."""

    type: Literal["UserTurnEnded"] = "UserTurnEnded"


ClientMessage: TypeAlias = (
    Settings
    | UpdatePrompt
    | UpdateThink
    | UpdateSpeak
    | UpdateListen
    | InjectUserMessage
    | InjectAgentMessage
    | FunctionCallResponse
    | KeepAlive
    | ForceEndTurn
    | CustomToThinkProvider
)

#: Messages that the gateway makes itself.
GatewayMessage: TypeAlias = UserTurnEnded | LateFunctionResult | ReplyCutOff
