"""docs/asyncapi.yaml is a valid AsyncAPI document, and describes the messages that the services exchange.

``tests/data/asyncapi-3.0.0.json`` is ``schemas/3.0.0-without-$id.json`` of the npm package ``@asyncapi/specs`` 6.11.1
(Apache-2.0), without white space.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from jsonschema import Draft7Validator, ValidationError
from jsonschema.validators import Draft202012Validator
from pydantic import BaseModel

from tests.integration.services import client_event
from tools.docs.asyncapi import channels
from turngate.protocol.messages import (
    PUBLISHES,
    AddItems,
    Configuration,
    DeadLetter,
    Intent,
    RefuseRequest,
    Release,
    ResponseRequest,
    SendRelease,
)

_ROOT = Path(__file__).parents[4]
_SCHEMA = _ROOT / "tests" / "data" / "asyncapi-3.0.0.json"


@pytest.fixture(scope="module")
def document() -> Any:
    return yaml.safe_load((_ROOT / "docs" / "asyncapi.yaml").read_text("utf-8"))


@pytest.fixture(scope="module")
def official() -> Draft7Validator:
    return Draft7Validator(orjson.loads(_SCHEMA.read_bytes()))


def test_the_document_is_valid(document: Any, official: Draft7Validator) -> None:
    official.validate(document)


def test_the_official_schema_is_in_effect(document: Any, official: Draft7Validator) -> None:
    with pytest.raises(ValidationError):
        official.validate(
            {**document, "operations": {"reads": {"action": "read", "channel": {"$ref": "#/channels/x"}}}}
        )


def test_every_stream_has_readers_and_writers(document: Any) -> None:
    for stream in channels():
        assert stream.writers, stream.address
        assert stream.readers or stream.messages == (DeadLetter,), stream.address
    assert {address for streams in PUBLISHES.values() for address in streams} == {
        channel["address"] for channel in document["channels"].values()
    }


@pytest.mark.parametrize(
    "message",
    [
        client_event(1, type="KeepAlive"),
        client_event(1, type="KeepAlive").turn,
        Release(id="r", session="s", gateway="g", intents=(Intent(seq=1, response=ResponseRequest()),)),
        AddItems(session="s", seq=1, items=({"id": "item"},)),
        RefuseRequest(session="s", seq=1, code="c", description="d"),
        SendRelease(session="s", release="r", configuration=Configuration(session={"a": 1}), configures=(1,)),
        DeadLetter(stream="s", group="g", entry="1-0", deliveries=3, reason="r", body="b"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_as_it_is_published_is_valid(document: Any, message: BaseModel) -> None:
    schemas = {"components": document["components"]}
    name = type(message).__name__
    assert name in document["components"]["messages"]
    validator = Draft202012Validator({**schemas, "$ref": f"#/components/schemas/{name}"})
    body = orjson.loads(message.model_dump_json())
    validator.validate(body)
    with pytest.raises(ValidationError):
        validator.validate({**body, "session": 1, "stream": 1})
