"""What clients of either dialect rely on, row by row: every one is named by a test.

The rows are those of the two protocols' descriptions: what a compatible server must do with each message (``agent``,
Deepgram's Voice Agent), and what the React component adds (``component``). A test names a row in its docstring, in
quotes and with its dialect: ``"agent: `KeepAlive`"``. ``python -m tests.rows`` prints each row with its tests.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

AGENT = (
    # The connection.
    "Upgrade",
    "after the upgrade",
    "WebSocket ping",
    "client close",
    "idle longer than the limit",
    "session length",
    "shutdown",
    "fatal Error",
    # What clients send.
    "any non-Settings first",
    "`Settings`",
    "second `Settings`",
    "binary",
    "`UpdateListen`",
    "`UpdateThink`",
    "`UpdateSpeak`",
    "`UpdatePrompt`",
    "`UpdateThink_Live`",
    "`InjectUserMessage`",
    "`InjectAgentMessage` default",
    "`InjectAgentMessage` queue",
    "`InjectAgentMessage` interrupt",
    "`FunctionCallResponse`",
    "`ForceEndTurn`",
    "`KeepAlive`",
    "`__customToThinkProvider`",
    "unknown type, bad JSON, extra field",
    # What happens.
    "user speech onset",
    "user turn end",
    "tool call, client function",
    "tool call, endpoint function",
    # The codes of its errors and warnings. Those that never come are in `NEVER_SENT`.
    "Error `NON_SETTINGS_MESSAGE_BEFORE_SETTINGS`",
    "Error `SETTINGS_ALREADY_APPLIED`",
    "Error `UNPARSABLE_CLIENT_MESSAGE`",
    "Error `INVALID_SETTINGS`",
    "Error `CLIENT_MESSAGE_TIMEOUT`",
    "Error `AGENT_ID_NOT_SUPPORTED`",
    "Error `SERVER_GOING_AWAY`",
    "Error `MAXIMUM_SESSION_LENGTH_REACHED`",
    "Error `INTERNAL_SERVER_ERROR`",
    "Warning `NON_EXISTENT_FUNCTION_CALLED`",
    "Warning `PROMPT_TOO_LONG`",
    "Warning `SLOW_THINK_REQUEST`",
    "Warning `FORCE_END_TURN_UNSUPPORTED`",
    "Warning `UPDATE_LISTEN_UNSUPPORTED_FIELDS_CHANGED`",
    "Warning `MAXIMUM_SESSION_LENGTH_APPROACHING`",
)
#: Deepgram's codes for what cannot happen here; docs/differences.md says why.
NEVER_SENT = (
    "USER_AUDIO_FORMAT",
    "FAILED_TO_START_LISTENING",
    "FAILED_TO_LISTEN",
    "ASR_CONNECTION_CLOSED",
    "ASR_DRIVER_TIMEOUT",
    "FAILED_TO_THINK",
    "FAILED_TO_SPEAK",
    "INVALID_AGENT_ID",
    "INJECT_AGENT_MESSAGE_DURING_USER_SPEECH",
    "INJECT_AGENT_MESSAGE_DURING_AGENT_SPEECH",
    "THINK_REQUEST_FAILED",
    "SPEAK_REQUEST_FAILED",
    "SLOW_SPEAK_REQUEST",
    "FUNCTION_CALL_FAILED",
    "GPT_4O_STREAM_END_ERROR",
    "VOICE_PROMPT_ADDED",
)
COMPONENT = (
    # What it sends.
    "`audio.input` and `audio.output`",
    "`agent.idleTimeoutMs`",
    "`agent.think.toolChoice`",
    "`agent.think.outputModalities`",
    "`agent.think.maxOutputTokens`",
    "`agent.think.managedPrompt`",
    "`agent.sessionAudioOutput`",
    "`agent.think.provider.temperature`",
    "`agent.think.provider.model`",
    "`agent.context.messages`",
    "`agent.useOpenAIManualAudioCommit`",
    "`Settings` a second time",
    "`InjectUserMessage`",
    "`FunctionCallResponse`",
    "`KeepAlive`",
    "any other JSON type",
    "binary",
    # What it is sent.
    "`SettingsApplied`",
    "greeting",
    "`ConversationText` assistant",
    "`function_call` content part",
    "`Transcript`",
    "`UtteranceEnd`",
    "`UserStartedSpeaking`",
    "`AgentThinking`",
    "`AgentStartedSpeaking`",
    "`AgentAudioDone` and `AgentDone`",
    "`FunctionCallRequest`",
    "`Error`",
    "nothing",
    "JSON as text frames",
    # What its users have met.
    "configuration acknowledged but never sent",
    "the turn free too early, at the end of the audio",
    "a response asked for right after a function result",
    "context sent before the session was configured",
    "Settings lost before the upstream opened",
    "text lost before the upstream opened",
    "unknown upstream events shown as errors",
    "idle close before the last text",
    "agent-done before the audio ended",
)
ROWS = (*(f"agent: {row}" for row in AGENT), *(f"component: {row}" for row in COMPONENT))

_NAMED = re.compile(r'"((?:agent|component): [^"]+)"')


def naming_tests(folder: Path = Path(__file__).parent) -> Mapping[str, list[str]]:
    """The tests that name each row, also such rows as there are none."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(folder.rglob("test_*.py")):
        for test, docstring in _docstrings(path):
            for row in _NAMED.findall(" ".join(docstring.split())):
                found[row].append(f"{path.relative_to(folder.parent)}::{test}")
    return found


def _docstrings(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name, ast.get_docstring(node) or ""


if __name__ == "__main__":
    named = naming_tests()
    for row in ROWS:
        print(row, *(f"\n    {test}" for test in named.get(row, ["none"])), sep="")
