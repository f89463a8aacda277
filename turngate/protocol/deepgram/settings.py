"""The parts of the ``Settings`` message: Deepgram's Voice Agent v1 and the extensions of the React component.

A provider object has the fields of all providers; the translator decides which of them apply. Fields in camelCase are
the component's.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from turngate.protocol.deepgram.audio import LINEAR16, default_rate
from turngate.protocol.deepgram.values import ClientValue, Many, Maybe, MaybeOneOrMany, Whole


def _default_rate(declared: dict[str, Any]) -> int:
    return default_rate(declared.get("encoding", LINEAR16))


class InputAudio(ClientValue):
    encoding: str = LINEAR16
    #: In Hz.
    sample_rate: Whole = Field(default_factory=_default_rate)


class OutputAudio(ClientValue):
    encoding: str = LINEAR16
    #: In Hz.
    sample_rate: Whole = Field(default_factory=_default_rate)
    #: In bits per second, for compressed encodings.
    bitrate: Whole | None = None
    container: str = "none"


class Audio(ClientValue):
    input: InputAudio | None = None
    output: OutputAudio | None = None


class Flags(ClientValue):
    history: bool | None = None


class Endpoint(ClientValue):
    url: str
    method: str | None = None
    headers: dict[str, str] | None = None


class ListenProvider(ClientValue):
    type: str
    version: str | None = None
    model: str | None = None
    language: str | None = None
    language_hints: Many[str] | None = None
    keyterms: Many[str] | None = None
    smart_format: bool | None = None
    eot_threshold: Annotated[float, Field(ge=0.5, le=1)] | None = None
    eager_eot_threshold: Annotated[float, Field(ge=0.3, le=0.9)] | None = None
    eot_timeout_ms: Annotated[Whole, Field(ge=500, le=60_000)] | None = None

    @model_validator(mode="after")
    def _eager_before_sure(self) -> ListenProvider:
        eager, sure = self.eager_eot_threshold, self.eot_threshold
        if eager is not None and sure is not None and eager > sure:
            raise ValueError("must not have an `eager_eot_threshold` above its `eot_threshold`")
        return self


class Listen(ClientValue):
    provider: ListenProvider


class Function(ClientValue):
    name: Annotated[str, Field(min_length=1)]
    description: str | None = None
    #: A JSON schema.
    parameters: dict[str, Any] | None = None
    #: The endpoint of a server-side function; absent for a function that the client runs.
    endpoint: Maybe[Endpoint] = None
    defer_until_eot: bool | None = None


class FunctionChoice(ClientValue):
    type: Literal["function"]
    name: str


class ManagedPrompt(ClientValue):
    id: str
    version: str | None = None
    variables: dict[str, Any] | None = None


class ThinkProvider(ClientValue):
    type: str
    version: str | None = None
    model: str | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    reasoning_mode: Literal["none", "minimal", "low", "medium", "high"] | None = None
    credentials: dict[str, Any] | None = None
    voice_prompt_opt_out: bool | None = None


def _kind(value: object) -> str:
    return "name" if isinstance(value, str) else "object"


class Think(ClientValue):
    provider: ThinkProvider
    endpoint: Maybe[Endpoint] = None
    functions: Many[Function] | None = None
    prompt: str | None = None
    context_length: Whole | Literal["max"] | None = None
    tool_choice: (
        Annotated[
            Annotated[Literal["auto", "none", "required"], Tag("name")] | Annotated[FunctionChoice, Tag("object")],
            Discriminator(_kind),
        ]
        | None
    ) = Field(None, alias="toolChoice")
    output_modalities: Many[Literal["text", "audio"]] | None = Field(None, alias="outputModalities")
    max_output_tokens: Annotated[Whole, Field(ge=1)] | None = Field(None, alias="maxOutputTokens")
    managed_prompt: Maybe[ManagedPrompt] = Field(None, alias="managedPrompt")


class VoiceObject(ClientValue):
    """A voice as an object: Cartesia's ``{mode, id}``, OpenAI's ``{id}``."""

    id: str
    mode: str | None = None


Voice = Annotated[Annotated[str, Tag("name")] | Annotated[VoiceObject, Tag("object")], Discriminator(_kind)]
#: A factor on the normal speed, within the upstream's limits.
Speed = Annotated[float, Field(ge=0.25, le=1.5)]


class SpeakProvider(ClientValue):
    type: str
    version: str | None = None
    model: str | None = None
    model_id: str | None = None
    voice: Voice | None = None
    speed: Speed | None = None
    expressivity: Whole | None = None
    volume: float | None = None
    language: str | None = None
    language_code: str | None = None
    engine: str | None = None
    credentials: dict[str, Any] | None = None


class Speak(ClientValue):
    provider: SpeakProvider
    endpoint: Maybe[Endpoint] = None


class HistoryCall(ClientValue):
    id: str
    name: str
    client_side: bool = True
    #: JSON in a string.
    arguments: str
    response: str
    thought_signature: str | None = None


class HistoryMessage(ClientValue):
    """One entry of an earlier conversation: either text (``role`` and ``content``) or finished ``function_calls``."""

    type: Literal["History"] = "History"
    role: Literal["user", "assistant"] | None = None
    content: str | None = None
    function_calls: Many[HistoryCall] | None = None
    #: Part of the server's own messages, which clients send back here. Ignored.
    conversational_behavior: str | None = None

    @model_validator(mode="after")
    def _words_or_calls(self) -> HistoryMessage:
        if self.function_calls is None and (self.role is None or self.content is None):
            raise ValueError("needs `role` and `content`, or `function_calls`")
        return self


class Context(ClientValue):
    #: Oldest first.
    messages: Many[HistoryMessage] | None = None


class SessionAudioOutput(ClientValue):
    """The component's direct access to the upstream's ``session.audio.output``. Takes precedence over `Speak`."""

    format: dict[str, Any] | None = None
    speed: Speed | None = None
    voice: Voice | None = None


class Agent(ClientValue):
    language: str | None = None
    context: Maybe[Context] = None
    listen: Maybe[Listen] = None
    think: MaybeOneOrMany[Think] = None
    speak: MaybeOneOrMany[Speak] = None
    greeting: str | None = None
    #: Milliseconds of silence after which the agent speaks; -1 for never.
    idle_timeout_ms: float | None = Field(None, alias="idleTimeoutMs")
    session_audio_output: Maybe[SessionAudioOutput] = Field(None, alias="sessionAudioOutput")
    use_manual_audio_commit: bool | None = Field(None, alias="useOpenAIManualAudioCommit")
