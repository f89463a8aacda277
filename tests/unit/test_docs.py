"""What the documentation names exists: links, paths, commands, settings. Every page is linked from the README."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer
import yaml

from tools.docs.env_example import OTHERS
from turngate.cli.app import with_commands
from turngate.cli.config import collect

_ROOT = Path(__file__).parents[2]
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FILE = re.compile(r"(?:[\w.-]+/)*[\w.-]+\.(?:py|md|lua|yml|toml|svg|json|txt|pml|wav|mjs)|(?:[\w.-]+/)+[\w.-]*")
#: Read by the command line, the tests and the benchmarks, and by no service.
_OTHER_VARIABLES = {"TURNGATE_API_KEY", "TURNGATE_TEST_PROGRAMS"}
#: Created by running the software.
_GENERATED = ("out/",)


@cache
def _tracked() -> frozenset[str]:
    """The files of the repository, and their folders."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=_ROOT, capture_output=True, text=True)
    files = {name for name in listed.stdout.splitlines() if (_ROOT / name).exists()}
    return frozenset(files | {str(parent) for name in files for parent in Path(name).parents})


PAGES = sorted(name for name in _tracked() if name.endswith(".md"))


def _code(text: str) -> str:
    """The code blocks of a page."""
    return "\n".join(re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


def _prose(text: str) -> str:
    """The page without its code blocks."""
    return re.sub(r"^```\w*\n.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _prose(page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def missing_links(page: str, text: str) -> Iterator[str]:
    """The relative links of a page that lead nowhere."""
    for target in _LINK.findall(_prose(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (_ROOT / page).parent / path if path else _ROOT / page
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            yield target


def missing_paths(page: str, text: str) -> Iterator[str]:
    """The paths in backticks that do not exist. A path may be relative to the repository, to the page, or to a path
    before it in the same line."""
    top = {name for name in _tracked() if "/" not in name}
    for line in _prose(text).splitlines():
        bases = ["", str(Path(page).parent)]
        for span in _SPAN.findall(line):
            words = span.split() if span.startswith("pytest ") else [span]
            for word in words:
                found = _FILE.fullmatch(word)
                if found is None or word.startswith(_GENERATED):
                    continue
                if "/" in word and word.split("/")[0] not in top and not word.endswith(".py"):
                    continue  # For example a MIME type.
                paths = [str(Path(base) / word) for base in bases]
                match = next((path for path in paths if path.rstrip("/") in _tracked()), None)
                if match is None:
                    yield word
                else:
                    bases.append(match if (_ROOT / match).is_dir() else str(Path(match).parent))


def unknown_commands(text: str) -> Iterator[str]:
    """The `make` targets, `turngate` commands and Python modules that do not exist."""
    targets = set(re.findall(r"^([a-z-]+):", (_ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    commands = set(typer.main.get_group(with_commands()).commands)
    written = "\n".join([_code(text), *_SPAN.findall(_prose(text))])
    yield from (f"make {name}" for name in re.findall(r"^make ([a-z-]+)", written, re.MULTILINE) if name not in targets)
    for name in re.findall(r"^(?:\$ |\S*/)?turngate ([a-z-]+)", written, re.MULTILINE):
        if name not in commands:
            yield f"turngate {name}"
    for name in re.findall(r"python -m ([\w.]+)", written):
        if find_spec(name) is None:
            yield f"python -m {name}"


def unknown_settings(text: str) -> Iterator[str]:
    """The `TURNGATE_…` variables that no service reads."""
    known = {setting.variable for setting in collect()} | set(OTHERS) | _OTHER_VARIABLES
    yield from (name for name in set(re.findall(r"TURNGATE_[A-Z_]*[A-Z]", text)) if name not in known)


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_exists(page: str) -> None:
    text = (_ROOT / page).read_text("utf-8")
    # The changelog also names what is gone.
    settings = [] if page == "CHANGELOG.md" else list(unknown_settings(text))
    problems = [*missing_links(page, text), *missing_paths(page, text), *unknown_commands(text), *settings]
    assert problems == []


def test_every_page_is_linked_from_the_readme() -> None:
    text = (_ROOT / "README.md").read_text("utf-8")
    assert [page for page in PAGES if page != "README.md" and f"({page}" not in text] == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[x](docs/nowhere.md)", "docs/nowhere.md"),
        ("[x](docs/operations.md#nowhere)", "docs/operations.md#nowhere"),
        ("see `gateway/nowhere.py`", "gateway/nowhere.py"),
        ("see `gateway/turn/slot.py`, `nowhere.py`", "nowhere.py"),
        ("run `make nowhere`", "make nowhere"),
        ("```sh\nturngate nowhere\n```\n", "turngate nowhere"),
        ("run `python -m tools.nowhere`", "python -m tools.nowhere"),
        ("set `TURNGATE_NOWHERE`", "TURNGATE_NOWHERE"),
    ],
)
def test_what_does_not_exist_is_found(text: str, problem: str) -> None:
    checks = [missing_links("README.md", text), missing_paths("README.md", text), unknown_commands(text)]
    assert [found for check in (*checks, unknown_settings(text)) for found in check] == [problem]


def test_compose_passes_every_setting_to_its_services() -> None:
    """Except those that docker-compose.yml determines, the gateway's id, which must differ between processes, and what
    `turngate run` alone sets."""
    determined = re.compile(
        r"TURNGATE_\w+_(HOST|PORT|SOCKET)|TURNGATE_GATEWAY_ID|TURNGATE_REDIS_(URLS|LEAVING)|TURNGATE_SIMULATOR_API_KEY"
    )
    services = yaml.safe_load((_ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    lacking = [
        f"{service}: {setting.variable}"
        for setting in collect()
        for service in (*setting.services, *(["gateway-direct"] if "gateway" in setting.services else []))
        if not determined.fullmatch(setting.variable) and setting.variable not in services[service]["environment"]
    ]
    assert lacking == []


#: What a line of the README connects with, and the program of a test that does the same.
_CONNECTS = {
    "new DeepgramClient({ apiKey, baseUrl: ": "tests/javascript/conversation.mjs",
    "new WebSocket(": "tests/javascript/browser_handshake.mjs",
    "agent_rest=": "tests/end_to_end/test_deepgram_sdk.py",
    "production=": "tests/python_sdks/sdk_5.py",
    "agent._websocket_url = ": "tests/python_sdks/sdk_4.py",
    '.agent.websocket.v("1")': "tests/python_sdks/sdk_4.py",
    "?token=": "tests/end_to_end/test_secrets.py",
}


@pytest.mark.parametrize(("line", "program"), _CONNECTS.items())
def test_every_way_to_connect_in_the_readme_is_what_a_test_does(line: str, program: str) -> None:
    assert line in (_ROOT / "README.md").read_text("utf-8")
    assert line in (_ROOT / program).read_text("utf-8")
