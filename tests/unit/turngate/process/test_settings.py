"""A wrong setting is one line that names it, what it may be, and no secret."""

from __future__ import annotations

import pytest

from gateway.config import GatewaySettings
from turngate.process.settings import BrokerSettings, SettingsError, load


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("TURNGATE_REDIS_URL", "http://user:s3cret@host/0?x=s3cret", "http://host/0?x=…"),
        ("TURNGATE_UPSTREAM_URL", "https://user:s3cret@host/?token=s3cret", "https://host/?token=…"),
        ("TURNGATE_UPSTREAM_URL", "s3cret", "(an invalid URL)"),
        ("OPENAI_API_KEY", "sk s3cret", "without spaces"),
        ("TURNGATE_OPENAI_API_KEY", "s3cret\x07", "printable"),
        ("TURNGATE_SESSIONS_MAX", "many", "not 'many'"),
    ],
)
def test_it_is_named_without_its_secrets(variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as error:
        load(GatewaySettings if variable != "TURNGATE_REDIS_URL" else BrokerSettings)
    text = str(error.value)
    assert variable.removeprefix("TURNGATE_") in text
    assert said in text
    assert "s3cret" not in text
    assert text.isprintable()


def test_a_key_that_was_read_from_a_file_loses_its_newline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-key\n")
    key = load(GatewaySettings).openai_api_key
    assert key is not None
    assert key.get_secret_value() == "sk-key"
