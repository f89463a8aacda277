"""Takes the pictures of docs/console.md: ``python -m tools.docs.console``, or `make screenshots`.

Needs Node, Chromium, and what `make test` installs for tests in JavaScript.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from turngate.local.stack import Stack

_ROOT = Path(__file__).parents[2]
_SCRIPT = _ROOT / "tests/javascript/console/screenshots.mjs"
_WAV = _ROOT / "turngate/cli/demo/hello-16k.wav"
_FOLDER = _ROOT / "docs/images"


async def take() -> None:
    """Use the console of a stack at its real pace. Raises `SystemExit` if a program is missing or fails."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("no `chromium` on the PATH: as root, apt-get install --no-install-recommends chromium")
    async with Stack(pace=1.0, console_faults=True) as stack:
        arguments = (chromium, stack.session_state_url, stack.gateway_url, str(_WAV), str(_FOLDER))
        process = await asyncio.create_subprocess_exec("node", str(_SCRIPT), *arguments)
        if code := await process.wait():
            raise SystemExit(code)


if __name__ == "__main__":
    asyncio.run(take())
