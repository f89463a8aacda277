"""Plain HTTP on the public port: each path and method, tokens, and what scripts of web pages may read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.admission.admission import Admission, AdmissionLimits, Reason
from gateway.admission.authentication import Authentication
from gateway.admission.credentials import KeyOptions, Keys
from gateway.admission.origins import Origins
from gateway.admission.tokens import Tokens
from gateway.pages import GRANT, THINK_MODELS, Pages
from gateway.sockets.interface import HttpRequest, HttpResponse
from gateway.think_models import think_models
from turngate.process.settings import SettingsError

SECRET = "a-secret-of-thirty-two-characters-or-more"
GOOD, FOREIGN = "https://app.example.com", "https://evil.example.com"


class Site:
    def __init__(self, limits: AdmissionLimits | None = None, *, alive: bool = True) -> None:
        self.refused: list[Reason] = []
        authentication = Authentication(Keys({"k3y": KeyOptions()}), Tokens([SECRET]))
        origins = Origins([GOOD], open_to_anybody=False)
        self.admission = Admission(limits or AdmissionLimits(), authentication, origins, self.refused.append)
        self.pages = Pages(self.admission, think_models("gpt-realtime-2.1", None), lambda: alive, lambda: 0.0)

    def respond(self, method: str, path: str, body: bytes = b"", **headers: Any) -> HttpResponse | None:
        values = {name.replace("_", "-").lower(): [value] for name, value in headers.items()}
        return self.pages.respond(HttpRequest(path, "s", lambda name: values.get(name.lower(), []), None, method, body))

    def ask(self, method: str, path: str, body: bytes = b"", **headers: Any) -> HttpResponse:
        answer = self.respond(method, path, body, **headers)
        assert answer is not None
        return answer

    def grant(self, body: bytes = b"", **headers: str) -> tuple[int, Any]:
        answer = self.ask("POST", GRANT, body, **{"Authorization": "Token k3y", **headers})
        return answer.status, orjson.loads(answer.body)


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (b"", 30),
        (b"{}", 30),
        (b'{"ttl_seconds":null}', 30),
        (b'{"ttl_seconds":1,"more":2}', 1),
        (b'{"ttl_seconds":3600}', 3600),
        (b'{"ttl_seconds":2.5}', 3),
    ],
)
def test_a_token_is_granted_for_the_time_asked_for(body: bytes, seconds: int) -> None:
    status, granted = Site().grant(body)
    assert (status, set(granted), granted["expires_in"]) == (200, {"access_token", "expires_in"}, seconds)


@pytest.mark.parametrize("ttl", [b"0", b"0.5", b"3601", b"-1", b'"30"', b"true", b"[]", b"1e999"])
def test_other_times_are_refused(ttl: bytes) -> None:
    for body in (b'{"ttl_seconds":' + ttl + b"}", ttl, b"\xff"):
        status, error = Site().grant(body)
        assert (status, error["err_code"]) == (400, "BAD_REQUEST")


def test_who_may_not_have_a_token_is_told_in_deepgrams_format_and_counted() -> None:
    site = Site()
    status, error = site.grant(Authorization="Token other")
    assert (status, error) == (401, {"err_code": "INVALID_AUTH", "err_msg": "the key is not one of this server's"})
    _, granted = site.grant()
    status, error = site.grant(Authorization=f"Bearer {granted['access_token']}")
    assert (status, error["err_code"]) == (403, "FORBIDDEN")
    status, error = site.grant(Origin=FOREIGN)
    assert (status, error["err_code"]) == (403, "FORBIDDEN")
    assert site.refused == [Reason.KEY, Reason.KEY]


def test_a_key_asks_for_tokens_at_its_rate() -> None:
    site = Site(AdmissionLimits(key_rate=3))
    answers = [site.grant()[0] for _ in range(50)]
    assert (answers.count(200), answers.count(429)) == (3, 47)
    assert site.ask("POST", GRANT, Authorization="Token k3y").headers["Retry-After"] == "1"


def test_the_sessions_of_tokens_count_for_their_key() -> None:
    site = Site(AdmissionLimits(key_sessions=1))
    token = site.grant()[1]["access_token"]
    upgrade: dict[str, Any] = {"Upgrade": "websocket", "Authorization": f"Bearer {token}"}
    assert site.respond("GET", "/openai", **upgrade) is None
    assert site.ask("GET", "/openai", **upgrade).status == 429
    assert site.ask("GET", "/openai", Upgrade="websocket", Authorization="Token k3y").status == 429


def test_the_models_need_no_key(tmp_path: Path) -> None:
    answer = Site().ask("GET", THINK_MODELS)
    known = {"id": "gpt-realtime-2.1", "name": "gpt-realtime-2.1", "provider": "open_ai"}
    assert orjson.loads(answer.body) == {"models": [known]}
    names = tmp_path / "names.toml"
    names.write_text('[models]\n"gpt-4o-mini" = "gpt-realtime-2.1"\n"gpt-5" = "another"\n')
    listed = orjson.loads(think_models("gpt-realtime-2.1", names))["models"]
    assert [model["id"] for model in listed] == ["gpt-realtime-2.1", "gpt-4o-mini"]
    for content in ("[models", '{"models": 5}'):
        names.write_text(content)
        with pytest.raises(SettingsError, match="TURNGATE_NAMES_FILE"):
            think_models("m", names)
    with pytest.raises(SettingsError, match="cannot be read"):
        think_models("m", tmp_path / "none.json")


@pytest.mark.parametrize(("path", "method"), [(GRANT, "POST"), (THINK_MODELS, "GET")])
def test_scripts_of_an_allowed_origin_may_read_the_answer_whatever_it_is(path: str, method: str) -> None:
    site = Site()
    for one in (method, "DELETE", "OPTIONS"):
        answer = site.ask(one, path, Origin=GOOD)
        assert answer.headers["Access-Control-Allow-Origin"] == GOOD
        assert answer.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Origin" not in site.ask(method, path).headers
    for one in (method, "DELETE", "OPTIONS"):
        answer = site.ask(one, path, Origin=FOREIGN)
        assert answer.status == 403
        assert not any(name.startswith("Access-Control") for name in answer.headers)


def test_a_browser_is_told_what_it_may_send() -> None:
    site = Site()
    asks: dict[str, Any] = {"Origin": GOOD, "Access_Control_Request_Method": "POST"}
    answer = site.ask("OPTIONS", GRANT, Access_Control_Request_Headers="authorization, content-type", **asks)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Access-Control-Allow-Methods"] == "POST"
    assert answer.headers["Access-Control-Allow-Headers"] == "authorization, content-type"
    answer = site.ask("OPTIONS", GRANT, Access_Control_Request_Headers="a\nSet-Cookie: b", **asks)
    assert "Access-Control-Allow-Headers" not in answer.headers


def test_methods_and_paths_that_are_not_there_are_told_in_json() -> None:
    site = Site()
    pages = "GET, HEAD, OPTIONS"
    for path, allowed in ((GRANT, "POST, OPTIONS"), (THINK_MODELS, pages), ("/openai", pages)):
        answer = site.ask("PUT", path)
        assert (answer.status, answer.headers["Allow"]) == (405, allowed)
        assert orjson.loads(answer.body)["error"].startswith(path)
    answer = site.ask("POST", "/v2/auth")
    assert (answer.status, list(orjson.loads(answer.body))) == (404, ["error"])
    assert site.ask("GET", "//[").status == 400
    assert site.ask("GET", "/openai", Authorization="Token k3y").status == 426


def test_health_says_one_word() -> None:
    assert (Site().ask("HEAD", "/health").status, Site(alive=False).ask("GET", "/health").status) == (200, 503)
