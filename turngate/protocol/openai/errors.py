"""Error codes of the Realtime API that this server handles specially."""

from __future__ import annotations

ACTIVE_RESPONSE = "conversation_already_has_active_response"
CANCEL_NOT_ACTIVE = "response_cancel_not_active"
VOICE_LOCKED = "cannot_update_voice"
COMMIT_EMPTY = "input_audio_buffer_commit_empty"
