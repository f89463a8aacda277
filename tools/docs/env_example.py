"""Generates .env.example: every setting with its description and default, grouped by task.

``python -m tools.docs.env_example`` prints the file, `make docs` writes it, and `make check` compares it. A new setting
must be added to `_TASKS`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from turngate.cli.config import Setting, collect
from turngate.process.settings import ENV_PREFIX

_HEAD = """\
# Settings of turngate by task. All of them are optional, and the values shown are the defaults.
# Made by `make docs` from the settings classes. Do not edit .env.example: copy it to .env and edit that.
#
# Docker Compose reads .env by itself. For `make run`: set -a; . ./.env; set +a
"""
_WIDTH = 110
#: Variables that are read by others than the settings classes: the OpenAI SDK's own name, and docker-compose.yml.
OTHERS = {
    "OPENAI_API_KEY": "API key of OpenAI. With it, replies come from the OpenAI Realtime API; without it, from the "
    "simulator.",
    "TURNGATE_PUBLISHED_PORT": "docker compose only: the port on which the gateway is published. Default: 8080.",
    "TURNGATE_CONSOLE_PORT": "docker compose only: the port on which the console is published. Default: 8082.",
    "TURNGATE_EDGE_CERTIFICATES": "docker compose only, with `--profile edge`: the absolute path of a folder of PEM "
    "files, each with a certificate, those that it depends on, and its key, which user 99 can read. With it, HAProxy "
    "also takes clients with TLS.",
    "TURNGATE_EDGE_HOST": "docker compose only, with `--profile edge`: the address on which HAProxy takes clients with "
    "TLS. Default: 127.0.0.1.",
    "TURNGATE_EDGE_TLS_PORT": "docker compose only, with `--profile edge`: the port for clients with TLS. Default: "
    "8443.",
    "TURNGATE_EDGE_PORT": "docker compose only, with `--profile edge`: the port for clients of this machine without "
    "TLS. Default: 8090.",
    "TURNGATE_EDGE_STOP_GRACE": "docker compose only, with `--profile edge`: how long a gateway may take to stop; more "
    "than both settings of draining together, and 10 s. Default: 90s.",
    "TURNGATE_REDIS_PASSWORD": "docker compose only: the password of its Redis, which is not published. Letters and "
    "digits. Default: turngate.",
    "TURNGATE_GRAFANA_PORT": "docker compose only, with `--profile observability`: the port of Grafana on this "
    "machine. Default: 3000.",
    "TURNGATE_PROMETHEUS_PORT": "docker compose only, with `--profile observability`: the port of Prometheus on this "
    "machine. Default: 9090.",
}
#: The variables, without the prefix, by task.
_TASKS: dict[str, str] = {
    "Choose the upstream and the model": "OPENAI_API_KEY UPSTREAM_MODEL UPSTREAM_URL OPENAI_API_KEY SIMULATOR_URL "
    "UPSTREAM_CONNECT_TIMEOUT_MS UPSTREAM_RECONNECT_MS UPSTREAM_ROLLOVER_MS RESTORE_AS UPSTREAM_REPLY_TIMEOUT_MS "
    "REASONING_EFFORT",
    "Let clients connect": "PUBLISHED_HOST PUBLISHED_PORT REDIS_PASSWORD API_KEYS API_KEYS_FILE TOKEN_SECRET "
    "TOKEN_SECRET_FILE ALLOW_ANONYMOUS "
    "ALLOWED_ORIGINS TRUST_FORWARDED_FOR",
    "Run several gateways behind HAProxy": "EDGE_CERTIFICATES EDGE_HOST EDGE_TLS_PORT EDGE_PORT EDGE_STOP_GRACE",
    "See and watch sessions": "ADMIN_KEY CONSOLE_PORT CONSOLE_GATEWAY_URL CONSOLE_FAULTS_SOCKET WATCHERS_MAX",
    "Choose the voice and the transcription": "UPSTREAM_VOICE TRANSCRIPTION_MODEL NAMES_FILE",
    "Detect the user's turns": "TURN_OWNER TURN_DETECTION VAD_THRESHOLD VAD_PREFIX_PADDING_MS VAD_SILENCE_MS "
    "VAD_IDLE_TIMEOUT_MS VAD_EAGERNESS INTERRUPT_RESPONSE NOISE_REDUCTION PROMISE_GRACE_MS AUDIO_GAP_MS "
    "MANUAL_COMMIT_PAUSE_MS MANUAL_COMMIT_LEVEL_DBFS",
    "Write logs and read metrics": "LOG_LEVEL LOG_FORMAT GRAFANA_PORT PROMETHEUS_PORT",
    "Set addresses and ports": "REDIS_URL REDIS_URLS REDIS_LEAVING REDIS_PREFIX "
    "GATEWAY_HOST GATEWAY_PORT GATEWAY_WORKERS GATEWAY_INTERNAL_HOST "
    "GATEWAY_INTERNAL_PORT TRANSLATOR_HOST TRANSLATOR_PORT SESSION_STATE_HOST SESSION_STATE_PORT GATEWAY_ID",
    "Limit what clients can use": "SESSIONS_MAX ADDRESS_SESSIONS_MAX "
    "ADDRESS_CONNECTS_PER_SECOND KEY_SESSIONS_MAX KEY_CONNECTS_PER_SECOND SESSION_LENGTH_MAX_MS DRAIN_GRACE_MS "
    "DRAIN_MS "
    "SESSION_REQUESTS_MAX SESSION_MESSAGES_MAX SESSION_REQUESTS_MAX_BYTES SESSION_QUEUE_MAX_BYTES SESSIONS_MAX_BYTES "
    "CLIENT_TEXT_MAX_BYTES CLIENT_TEXTS_PER_SECOND CLIENT_TEXT_BYTES_PER_SECOND CLIENT_AUDIO_FRAMES_PER_SECOND "
    "CLIENT_AUDIO_BYTES_PER_SECOND SESSION_CALLS_MAX TRANSCRIPT_ITEMS_MAX TRANSCRIPT_MAX_BYTES "
    "PROMPT_CHARACTERS_MAX CLIENT_FRAME_MAX_BYTES EARLY_AUDIO_MAX_BYTES SOCKET_UNREAD_MAX_BYTES",
    "Set timeouts of clients and requests": "CLIENT_IDLE_TIMEOUT_MS COMPONENT_IDLE_TIMEOUT_MS "
    "RESUME_WINDOW_MS PARKED_MAX CLAIM_WAIT_MS "
    "CLIENT_PING_INTERVAL_MS CLIENT_STALL_MS FUNCTION_CALL_TIMEOUT_MS REQUEST_TIMEOUT_MS RESPONSE_SILENCE_MS "
    "REPLY_RETRY_MAX_MS",
    "Choose what clients are sent": "GREETING_UNINTERRUPTIBLE SLOW_THINK_MS LATENCY_REPORTS",
    "Tune the delivery between services": "SOCKET_ENGINE HEARTBEAT_MS SESSION_TTL_MS RETRANSMIT_AFTER_MS "
    "RELEASE_PATIENCE_MS RELEASE_LEASE_MS TURN_FOLD_MS JOURNAL_FOLD_MS SESSION_INTENTS_MAX "
    "SESSION_INTENTS_MAX_BYTES SWEEP_INTERVAL_MS SWEEP_BATCH "
    "RECLAIM_AFTER_MS DELIVERIES_MAX STREAM_MAX_LENGTH STREAM_MAX_BYTES DEAD_LETTERS_MAX_BYTES "
    "DEAD_LETTER_TTL_MS REDIS_TIMEOUT_MS",
    "Configure the simulator": "SIMULATOR_PACE SIMULATOR_HOST SIMULATOR_PORT SIMULATOR_API_KEY SIMULATOR_MODELS "
    "SIMULATOR_SESSION_SECONDS SIMULATOR_SESSION_END SIMULATOR_FAULT SIMULATOR_FAULT_TIMES "
    "SIMULATOR_AUTO_CREATE_FAILS_SILENTLY SIMULATOR_RACE_WINDOW_MS "
    "SIMULATOR_RECORD_SESSIONS SIMULATOR_RECORD_ENTRIES",
}


def page() -> str:
    """The whole file. Raises `LookupError` for a setting that is in no task, and for an unknown name in a task."""
    settings = {setting.variable: setting for setting in collect()}
    parts = [_HEAD]
    for task, names in _TASKS.items():
        parts.append(f"\n# --- {task} {'-' * (_WIDTH - len(task) - 7)}\n")
        parts += [_entry(variable, settings.pop(variable, None)) for variable in _variables(names)]
    if settings:
        raise LookupError(f"{', '.join(settings)}: add to a task in tools/docs/env_example.py")
    return "".join(parts)


def _variables(names: str) -> Iterator[str]:
    """The variables of a task. The first `OPENAI_API_KEY` is the one without the prefix."""
    seen: set[str] = set()
    for name in names.split():
        plain = name in OTHERS and name not in seen
        seen.add(name)
        yield name if plain else f"{ENV_PREFIX}{name}"


def _entry(variable: str, setting: Setting | None) -> str:
    if setting is None and variable not in OTHERS:
        raise LookupError(f"{variable}, in tools/docs/env_example.py, is not a setting")
    about = OTHERS[variable] if setting is None else f"{setting.description} ({setting.accepts})"
    comment = textwrap.fill(about, _WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
    default = "" if setting is None or setting.default.startswith("(") else setting.default
    return f"\n{comment}\n#{variable}={default}\n"


if __name__ == "__main__":
    print(page(), end="")
