"""Where the secrets of tokens come from, and how they are replaced while the gateway runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import structlog

from gateway.admission.credentials import Unauthorized
from gateway.admission.token_secrets import FileTokens, read_tokens
from gateway.config import GatewaySettings
from turngate.process.settings import SettingsError, load

OLD, NEW = "the-old-secret-of-thirty-two-characters", "the-new-secret-of-thirty-two-characters"


def settings(**given: Any) -> GatewaySettings:
    return load(GatewaySettings, **given)


def test_without_a_secret_only_an_open_gateway_makes_tokens() -> None:
    assert read_tokens(settings(), open_to_anybody=False) is None
    one, other = (read_tokens(settings(), open_to_anybody=True) for _ in range(2))
    assert one is not None
    assert other is not None
    with pytest.raises(Unauthorized):
        other.key(one.grant("", 30, 0)[0], 0)


def test_secrets_come_from_the_variable_and_before_them_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "secrets"
    file.write_text(f"# rotated\n{NEW}\n")
    tokens = read_tokens(settings(token_secret=f" {OLD} ,", token_secret_file=file), open_to_anybody=False)
    listed = read_tokens(settings(token_secret=f"{OLD},{NEW}"), open_to_anybody=False)
    assert isinstance(tokens, FileTokens)
    assert listed is not None
    assert len(tokens) == len(listed) == 2
    token, _ = tokens.grant("k", 30, 0)
    assert listed.key(token, 0) == tokens.key(listed.grant("k", 30, 0)[0], 0) == "k"
    only_new = read_tokens(settings(token_secret=NEW), open_to_anybody=False)
    assert only_new is not None
    assert only_new.key(token, 0) == "k", "the first one signs"


@pytest.mark.parametrize(
    ("secret", "reason"), [("short", "at least 32"), (" , ", "no secret"), (f"{OLD},x", "openssl")]
)
def test_a_secret_that_can_be_guessed_is_refused_without_showing_it(secret: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=f"TURNGATE_TOKEN_SECRET: .*{reason}") as refused:
        read_tokens(settings(token_secret=secret), open_to_anybody=False)
    assert OLD not in str(refused.value)


def test_the_file_is_read_again_and_an_invalid_one_changes_nothing(tmp_path: Path) -> None:
    file, now = tmp_path / "secrets", [0.0]
    file.write_text(OLD)
    tokens = FileTokens([], file, lambda: now[0])
    old, _ = tokens.grant("k", 30, 0)
    file.write_text(f"{NEW}\n{OLD}\n")
    now[0] += 3
    new, _ = tokens.grant("k", 30, 0)
    assert tokens.key(old, 0) == tokens.key(new, 0) == "k"
    file.write_text("short\n")
    now[0] += 3
    with structlog.testing.capture_logs() as logs:
        assert tokens.key(new, 0) == "k"
    assert [entry["event"] for entry in logs] == ["token_secrets_not_read"]
    file.write_text(f"{NEW}\n")
    now[0] += 3
    assert tokens.key(new, 0) == "k"
    with pytest.raises(Unauthorized, match="a secret that this server does not have"):
        tokens.key(old, 0)
