"""Frames that a client might send: valid ones, almost valid ones, and anything at all."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import orjson

CALLS = ("call_1", "call_2", "call_3")
_WORDS = ("Hi", "[say 40 words]", "ünïcødé \U0001f600", "x" * 300, '{"type":"Settings"}')


#: Longer than prompts may be.
_TOO_LONG = "word " * 5_100
_LISTENING: tuple[dict[str, Any], ...] = (
    {"type": "deepgram", "language": "de"},
    {"type": "deepgram", "version": "v2", "model": "flux-general-multi", "language_hints": ["en", "de"]},
    {"type": "deepgram", "version": "v2", "model": "flux-general-multi", "keyterms": []},
    {"type": "deepgram", "version": "v1", "model": "flux-general-en"},
)


def frame(random: Random) -> bytes:
    """One text frame."""
    kind = random.random()
    if kind < 0.6:
        return orjson.dumps(message(random))
    if kind < 0.9:
        return orjson.dumps(damaged(random, message(random)))
    return random.choice(_NOISE)(random)


def message(random: Random) -> dict[str, Any]:
    """A message as the protocol has it."""
    return random.choice(_MESSAGES)(random)


def damaged(random: Random, value: Any) -> Any:
    """The same with something wrong somewhere in it."""
    if isinstance(value, dict) and value:
        key = random.choice(list(value))
        match random.randrange(4):
            case 0:
                return {name: part for name, part in value.items() if name != key}
            case 1:
                return {**value, "surprise": anything(random)}
            case 2:
                return {**value, key: anything(random)}
            case _:
                return {**value, key: damaged(random, value[key])}
    if isinstance(value, list) and value:
        return [damaged(random, value[0]), *value[1:]]
    return anything(random)


def anything(random: Random, depth: int = 0) -> Any:
    """Any JSON value."""
    simple = (None, True, -1, 2**53, 0.5, "", "x", "Settings", "default")
    if depth > 2 or random.random() < 0.7:
        return random.choice(simple)
    if random.random() < 0.5:
        return [anything(random, depth + 1) for _ in range(random.randrange(3))]
    return {random.choice(("type", "id", "provider", "x")): anything(random, depth + 1)}


def think(random: Random) -> Any:
    block: dict[str, Any] = {
        "provider": {"type": "open_ai", "model": random.choice(("gpt-realtime", "gpt-4o-mini")), "temperature": 1},
        "prompt": random.choice(_WORDS),
        "functions": [{"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}],
    }
    if random.random() < 0.2:
        block |= {"toolChoice": "auto", "outputModalities": ["text"], "maxOutputTokens": 100, "context_length": "max"}
    return random.choice((block, [block, block]))


def settings(random: Random) -> dict[str, Any]:
    agent: dict[str, Any] = {"think": think(random)}
    if random.random() < 0.3:
        agent["greeting"] = "Hello."
    if random.random() < 0.2:
        agent["useOpenAIManualAudioCommit"] = True
    if random.random() < 0.2:
        calls = [{"id": "c", "name": "f", "client_side": True, "arguments": "{}", "response": "ok"}]
        words = {"type": "History", "role": "user", "content": "Hi"}
        agent["context"] = {"messages": [words, {"type": "History", "function_calls": calls}]}
    if random.random() < 0.3:
        agent["speak"] = {"provider": {"type": "deepgram", "model": "aura-2-thalia-en", "speed": 1.0}}
        agent["listen"] = {"provider": {"type": "deepgram", "version": "v1", "model": "nova-3", "keyterms": ["a"]}}
    rate = random.choice((8000, 16000, 24000, 48000, 11025))
    audio = {"input": {"encoding": random.choice(("linear16", "linear16", "mulaw", "opus")), "sample_rate": rate}}
    return {"type": "Settings", "tags": ["a"], "flags": {"history": True}, "audio": audio, "agent": agent}


_MESSAGES: tuple[Callable[[Random], dict[str, Any]], ...] = (
    settings,
    lambda random: {"type": "UpdatePrompt", "prompt": random.choice((*_WORDS, _TOO_LONG))},
    lambda random: {"type": "UpdateThink", "think": think(random)},
    lambda random: {"type": "UpdateSpeak", "speak": {"provider": {"type": "open_ai", "voice": "coral"}}},
    lambda random: {"type": "UpdateListen", "listen": {"provider": random.choice(_LISTENING)}},
    lambda random: {"type": "InjectUserMessage", "content": random.choice(_WORDS)},
    lambda random: {
        "type": "InjectAgentMessage",
        "message": random.choice(_WORDS),
        "behavior": random.choice(("default", "queue", "interrupt")),
    },
    lambda random: {"type": "FunctionCallResponse", "id": random.choice(CALLS), "name": "f", "content": "42"},
    lambda random: {"type": "FunctionCallResponse", "name": "f", "result": anything(random)},
    lambda random: {"type": "KeepAlive"},
    lambda random: {"type": "ForceEndTurn"},
    lambda random: {"type": "__customToThinkProvider", "content": anything(random)},
)

_NOISE: tuple[Callable[[Random], bytes], ...] = (
    lambda random: random.randbytes(random.randrange(40)),
    lambda random: orjson.dumps(anything(random)),
    lambda random: orjson.dumps({"type": anything(random)}),
    lambda random: b"[" * random.randrange(1, 200),
    lambda random: b"",
    lambda random: orjson.dumps(settings(random))[: random.randrange(60)],
)
