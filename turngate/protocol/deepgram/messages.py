"""The client's messages, one model each. `turngate.protocol.deepgram.parse` reads them from the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import orjson
from pydantic import AliasChoices, Field, model_validator

from turngate.protocol.deepgram.settings import Agent, Audio, Flags, InputAudio, Listen, OutputAudio, Speak, Think
from turngate.protocol.deepgram.values import ClientValue, Many, OneOrMany

Text = Annotated[str, Field(min_length=1)]


class Message(ClientValue):
    """Base of the client's messages."""

    def wire(self) -> dict[str, Any]:
        """The message as a JSON object again, with only the fields that were set: for `ClientEvent.message`."""
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
        """The format of the client's audio; linear16 at 24 kHz when it does not say."""
        return self.audio.input or InputAudio()

    @property
    def output_audio(self) -> OutputAudio:
        """The format of the audio that the client wants; linear16 at 24 kHz when it does not say."""
        return self.audio.output or OutputAudio()

    @property
    def greeting(self) -> str | None:
        """What the agent says first; None when there is nothing, or when an earlier conversation is continued."""
        continued = self.agent.context is not None and self.agent.context.messages
        return None if continued else self.agent.greeting or None

    @property
    def history_enabled(self) -> bool:
        return self.flags is None or self.flags.history is not False

    @property
    def manual_audio_commit(self) -> bool:
        """The upstream shall not detect turns: the server commits the audio itself after a pause."""
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
    #: Older documents call it ``content``.
    message: Text = Field(validation_alias=AliasChoices("message", "content"))
    behavior: Literal["default", "queue", "interrupt"] = "default"


class FunctionCallResponse(Message):
    """A client's answer to a ``FunctionCallRequest``, in any of the shapes in use."""

    type: Literal["FunctionCallResponse"] = "FunctionCallResponse"
    #: The call's id. Clients that run one call at a time leave it out and give the name.
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
        """What the model is told: ``content`` as it is, else the error or the result as JSON."""
        if self.content is not None:
            return self.content
        return orjson.dumps(self.result if self.error is None else {"error": self.error}).decode()


class KeepAlive(Message):
    """The client is still there. Counts as a frame, and is not answered."""

    type: Literal["KeepAlive"] = "KeepAlive"


class ForceEndTurn(Message):
    """The user's turn is over now, whatever is heard: it is committed and answered. Nothing where no turn is open."""

    type: Literal["ForceEndTurn"] = "ForceEndTurn"


class CustomToThinkProvider(Message):
    """Something for the provider of the model itself, which takes no such thing here: ignored, with a ``Warning``."""

    type: Literal["__customToThinkProvider"] = "__customToThinkProvider"
    content: Any = None


class UserTurnEnded(Message):
    """Made by the gateway when it owns turns and the user's speech has ended. Never accepted from a client."""

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
