"""A Realtime server that was not written here: `speech-to-speech`, with a test in the place of its models.

Its protocol half is the real one: sessions, items, responses, errors. Where its language model would take a prompt from
a queue, the test does (`Upstream.asked`), and answers or waits as it likes (`Upstream.answer`).

It differs from OpenAI where a client may stumble: the code of an error is in ``type`` and ``code`` is null; items are
``conversation.item.created``, and those that come during a response are acknowledged after it; a response that it makes
by itself holds the conversation from the end of the user's turn on, and is announced only with its first words.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from queue import Empty, Queue
from typing import Any

import pytest
import uvicorn

_router = pytest.importorskip("speech_to_speech.api.openai_realtime.websocket_router")
_units = pytest.importorskip("speech_to_speech.api.openai_realtime.pipeline_unit")
_service = pytest.importorskip("speech_to_speech.api.openai_realtime.service")
_events = pytest.importorskip("speech_to_speech.pipeline.events")
_messages = pytest.importorskip("speech_to_speech.pipeline.messages")
_scope = pytest.importorskip("speech_to_speech.pipeline.cancel_scope")
_control = pytest.importorskip("speech_to_speech.pipeline.control")

PATIENCE_SECONDS = 30
_POLL_SECONDS = 0.01
#: 100 ms at the pipeline's 16 kHz.
_SPEECH = bytes(3_200)


class _Ears(Queue[Any]):
    """Hears nothing, and lets the end of a session through to the mouth as a pipeline does."""

    def __init__(self, mouth: Queue[Any]) -> None:
        super().__init__()
        self._mouth = mouth

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if _control.is_control_message(item, _control.SESSION_END.kind):
            self._mouth.put(item)


class Upstream:
    """One conversation's worth of server."""

    def __init__(self, port: int) -> None:
        self.url = f"ws://127.0.0.1:{port}/v1/realtime"
        self._prompts: Queue[Any] = Queue()
        self._mouth: Queue[Any] = Queue()
        self._transcripts: Queue[Any] = Queue()
        listening = threading.Event()
        self._unit = _units.PipelineUnit(
            index=0,
            service=_service.RealtimeService(text_prompt_queue=self._prompts, should_listen=listening),
            cancel_scope=_scope.CancelScope(),
            should_listen=listening,
            response_playing=threading.Event(),
            input_queue=_Ears(self._mouth),
            output_queue=self._mouth,
            text_output_queue=self._transcripts,
            text_prompt_queue=self._prompts,
            handlers=[],
        )

    @property
    def app(self) -> Any:
        return _router.create_app([self._unit], threading.Event())

    async def asked(self) -> Any:
        """The next prompt for the model; a response waits for its `answer`."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    return self._prompts.get_nowait()
                except Empty:
                    await asyncio.sleep(_POLL_SECONDS)

    def answer(self, prompt: Any, words: str) -> None:
        """Say these words, and end the response."""
        about = {"response_key": prompt.response_key, "cancel_generation": self._unit.cancel_scope.generation}
        self._mouth.put(_events.AssistantOutputEvent(parts=[_messages.AssistantTextPart(text=words)], **about))
        self._mouth.put(_messages.AudioOutput(audio=_SPEECH, **about))
        self._mouth.put(_events.AssistantResponseDoneEvent(**about))
        self._mouth.put(_messages.AudioOutput(audio=_messages.AUDIO_RESPONSE_DONE, **about))

    def hear(self, words: str) -> None:
        """The user said this, and the server is going to answer by itself; nobody is told before it does."""
        self._transcripts.put(_events.TranscriptionCompletedEvent(transcript=words))

    async def refused(self, code: str) -> None:
        """Return once a client event was refused with this."""
        errors: dict[str, int] = self._unit.service.total_usage.errors_by_type
        async with asyncio.timeout(PATIENCE_SECONDS):
            while code not in errors:
                await asyncio.sleep(_POLL_SECONDS)

    @staticmethod
    def conversation(prompt: Any) -> str:
        """What the model is given to answer, as text."""
        return str(prompt.runtime_config.chat.buffer)

    @staticmethod
    def instructions(prompt: Any) -> str | None:
        """What the session is configured with."""
        instructions: str | None = prompt.runtime_config.session.instructions
        return instructions


@asynccontextmanager
async def independent_upstream() -> AsyncIterator[Upstream]:
    """Such a server on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        upstream = Upstream(listener.getsockname()[1])
        server = uvicorn.Server(uvicorn.Config(upstream.app, ws="websockets-sansio", log_config=None))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield upstream
        finally:
            server.should_exit = True
            await serving
