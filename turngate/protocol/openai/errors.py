"""Error codes of the Realtime API that this server handles specially."""

from __future__ import annotations

ACTIVE_RESPONSE = "conversation_already_has_active_response"
CANCEL_NOT_ACTIVE = "response_cancel_not_active"
VOICE_LOCKED = "cannot_update_voice"
#: The session has lasted as long as it may; usually followed by a close with 1001.
SESSION_EXPIRED = "session_expired"
COMMIT_EMPTY = "input_audio_buffer_commit_empty"
#: Codes of failed responses that may succeed a little later.
PASSING = frozenset({"rate_limit_exceeded", "inference_rate_limit_exceeded", "server_error"})
#: Codes of failures that stay until the operator acts.
LASTING = frozenset({"insufficient_quota", "invalid_api_key", "model_not_found", "billing_hard_limit_reached"})
