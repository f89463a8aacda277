"""Short-lived tokens on the real socket, with both libraries: made and used by the official SDK as Deepgram's are."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jwt
import pytest
import pytest_asyncio
from deepgram import AsyncDeepgramClient, DeepgramClient
from deepgram.core.api_error import ApiError
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from gateway.admission.tokens import Tokens
from tests.end_to_end.test_authentication import AGENT, Locked, refusal, sdk_uses_old_names
from turngate.local.stack import Stack

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEY = "front-door.k3y"
#: A key of one test alone, which counts its sessions.
COUNTED, SESSIONS = "side-door.k3y", 11
SECRETS = ("the-new-secret-of-thirty-two-characters", "the-old-secret-of-thirty-two-characters")
PAGE = "https://app.example.com"


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=["picows", "websockets"])
async def locked(
    request: pytest.FixtureRequest, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Locked]:
    logs = tmp_path_factory.mktemp("logs")
    env = {
        "TURNGATE_API_KEYS": f"{KEY},{COUNTED}",
        "TURNGATE_TOKEN_SECRET": ",".join(SECRETS),
        "TURNGATE_ALLOWED_ORIGINS": PAGE,
        "TURNGATE_KEY_SESSIONS_MAX": str(SESSIONS),
        "TURNGATE_SOCKET_ENGINE": request.param,
        "TURNGATE_LOG_LEVEL": "debug",
    }
    database = f"{redis_url.rpartition('/')[0]}/3"
    async with Stack(redis_url=database, translators=1, pace=0, env=env, log_folder=logs) as stack:
        yield Locked(stack, logs)


async def token(locked: Locked, key: str = KEY, **asked: Any) -> str:
    sdk = AsyncDeepgramClient(api_key=key, environment=locked.environment)
    return str((await sdk.auth.v1.tokens.grant(**asked)).access_token)


def signed(secret: str, **claims: Any) -> str:
    """A token as the gateway would make it with this secret, with other claims."""
    name, _ = Tokens([secret]).grant("k", 30, 0)
    return jwt.encode(claims, secret, "HS256", {"kid": jwt.get_unverified_header(name)["kid"]})


@sdk_uses_old_names
async def test_the_official_sdk_makes_tokens_and_uses_them(locked: Locked) -> None:
    sdk = AsyncDeepgramClient(api_key=KEY, environment=locked.environment)
    granted = await sdk.auth.v1.tokens.grant(ttl_seconds=60)
    assert granted.expires_in == 60
    assert (await sdk.auth.v1.tokens.grant()).expires_in == 30
    with_token = AsyncDeepgramClient(access_token=granted.access_token, environment=locked.environment)
    async with with_token.agent.v1.connect() as agent:
        assert (await agent.recv()).type == "Welcome"
    with pytest.raises(ApiError) as refused:
        await with_token.auth.v1.tokens.grant()
    assert (refused.value.status_code, refused.value.body["err_code"]) == (403, "FORBIDDEN")
    with pytest.raises(ApiError) as refused:
        await sdk.auth.v1.tokens.grant(ttl_seconds=3601)
    assert (refused.value.status_code, refused.value.body["err_code"]) == (400, "BAD_REQUEST")
    models = await sdk.agent.v1.settings.think.models.list()
    assert [model.id for model in models.models or []] == ["gpt-realtime-2.1"]


@sdk_uses_old_names
async def test_the_official_sdk_synchronous(locked: Locked) -> None:
    def first() -> str:
        made = DeepgramClient(api_key=KEY, environment=locked.environment).auth.v1.tokens.grant()
        sdk = DeepgramClient(access_token=made.access_token, environment=locked.environment)
        with sdk.agent.v1.connect() as agent:
            return str(agent.recv().type)

    assert await asyncio.to_thread(first) == "Welcome"


async def test_a_token_opens_both_paths_in_every_form_and_its_sessions_count_for_its_key(locked: Locked) -> None:
    given = await token(locked, key=COUNTED)
    by_token = {"Authorization": f"Bearer {given}"}
    async with contextlib.AsyncExitStack() as open_sessions:

        async def welcome(url: str, **options: Any) -> None:
            client = await open_sessions.enter_async_context(connect(url, **options))
            assert json.loads(await client.recv())["type"] == "Welcome"

        for url in (locked.url + AGENT, f"{locked.url}/openai"):
            await welcome(url, additional_headers=by_token)
            await welcome(url, additional_headers={"Authorization": f"Token {given}"})
            await welcome(url, subprotocols=[Subprotocol("bearer"), Subprotocol(given)])
            await welcome(url, subprotocols=[Subprotocol("token"), Subprotocol(given)])
            await welcome(f"{url}?token={given}")
        await welcome(locked.url + AGENT, additional_headers={"Authorization": f"Token {COUNTED}"})
        status, reason = await refusal(locked.url + AGENT, additional_headers=by_token)
        assert (status, reason) == (429, "this key has all the sessions it may have")


async def test_any_other_token_is_refused_before_the_upgrade_with_the_reason(locked: Locked) -> None:
    good = await token(locked)
    header, claims, signature = good.split(".")
    name = jwt.decode(good, options={"verify_signature": False})["sub"]
    old = {"iss": "turngate", "sub": name, "iat": 1_700_000_000, "exp": 1_700_000_030, "scope": ["agent"]}
    refused = {
        signed(SECRETS[0], **old): "the token has expired",
        signed("a-foreign-secret-of-thirty-two-characters", **old): "the token was signed with a secret that this",
        f"{header}.{claims}.{signature[:-4]}AAAA": "the token's signature is wrong",
        f"{header}.{claims[:-4]}AAAA.{signature}": "the token's signature is wrong",
        jwt.encode(old, None, "none"): "the token is not signed with HS256",
        jwt.encode(old, SECRETS[0], "HS256", {"kid": "00000000"}): "the token was signed with a secret that this",
        jwt.encode(old, SECRETS[0], "HS256"): "the token was signed with a secret that this",
        signed(SECRETS[0], **{**old, "exp": 4_000_000_000}): "the token is not valid yet, or for too long",
        signed(SECRETS[1], **{**old, "iat": 4_000_000_000, "exp": 4_000_000_030}): "the token is not valid yet",
    }
    for given, why in refused.items():
        for path in (AGENT, "/openai"):
            status, reason = await refusal(locked.url + path, additional_headers={"Authorization": f"Bearer {given}"})
            assert status == 401
            assert reason.startswith(why)
            status, reason = await refusal(f"{locked.url}{path}?token={given}")
            assert status == 401
            assert reason.startswith(why)


async def test_a_page_of_an_allowed_origin_may_ask_and_no_other(locked: Locked) -> None:
    grant, models = "/v1/auth/grant", "/v1/agent/settings/think/models"
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    async with httpx.AsyncClient(trust_env=False, base_url=locked.environment.base) as http:
        answer = await http.options(grant, headers={"Origin": PAGE, **asks})
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert answer.headers["Access-Control-Allow-Headers"] == "authorization"
        answer = await http.post(grant, headers={"Origin": PAGE, "Authorization": f"Token {KEY}"}, json={})
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, PAGE)
        assert answer.headers["Cache-Control"] == "no-store"
        for method, path in (("OPTIONS", grant), ("POST", grant), ("GET", models)):
            headers = {"Origin": "https://evil.example.com", "Authorization": f"Token {KEY}", **asks}
            answer = await http.request(method, path, headers=headers)
            assert answer.status_code == 403
            assert not [name for name in answer.headers if name.startswith("access-control")]
        assert (await http.head(models)).status_code == 200
        answer = await http.get(grant)
        assert (answer.status_code, answer.headers["Allow"], list(answer.json())) == (405, "POST, OPTIONS", ["error"])
        answer = await http.post(grant, content=b"x" * 5_000)
        assert (answer.status_code, list(answer.json())) == (413, ["error"])
        assert (await http.post("/v1/auth")).json()["error"].startswith("no such path")


async def test_neither_a_token_nor_a_secret_is_ever_logged(locked: Locked) -> None:
    given = await token(locked, ttl_seconds=59)
    async with connect(f"{locked.url}/openai?token={given}") as client:
        await client.recv()
    with pytest.raises(InvalidStatus):
        await connect(f"{locked.url}{AGENT}?token={given}x")
    logged = "".join(path.read_text() for path in locked.logs.iterdir())
    assert "client_refused" in logged
    for secret in (given, given.rpartition(".")[2], KEY, *SECRETS):
        assert secret not in logged
