"""``make model``: look at every state of the reservation protocol with SPIN; see `docs/model.md`.

    python -m tools.model.check                    # everything, in a minute or two
    python -m tools.model.check NO_FENCE           # with a fault put back: must find it, and prints what SPIN says

Exit code 0 when nothing was found, 1 when something was, 2 when the tools are missing.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

MODEL = Path(__file__).parent / "turngate.pml"
#: Debian's and Ubuntu's packages of these names.
_TOOLS = ("spin", "gcc")
_MEMORY_MIB = 3_000
_SECONDS = 110
_DEPTH = 20_000


class ModelError(Exception):
    """The check could not be made. The text is one line that says why."""


@dataclass(frozen=True, slots=True)
class Check:
    """One run over all states that are possible with these bounds."""

    #: False: the assertions hold in every state; True: every request is settled, in every fair run.
    liveness: bool
    #: Two requests for a response; otherwise a configuration and a response.
    responses: bool
    #: Responses that the upstream begins by itself.
    own: int
    #: Messages lost, doubled or late, and timers that end too early; in any mixture.
    faults: int

    @property
    def name(self) -> str:
        requests = "two responses" if self.responses else "configuration and response"
        return (
            f"{'settled' if self.liveness else 'safe':7} | {requests:26} | {self.own} of its own, {self.faults} faults"
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What SPIN found."""

    errors: int
    states: int
    seconds: float
    #: The violated property, as SPIN says it; empty when there is none.
    finding: str


CHECKS = tuple(
    Check(liveness, responses, own, faults)
    for liveness, responses, own, faults in (
        (False, False, 1, 1),
        (False, False, 2, 0),
        (False, True, 1, 1),
        (True, False, 1, 1),
        (True, True, 1, 0),
        (True, True, 0, 2),
    )
)


def run(check: Check, *faults: str) -> Verdict:
    """Build the verifier and run it. ``faults`` are those named in the model's head. Raises `ModelError`."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        raise ModelError(f"{missing[0]} is not installed: apt-get install {' '.join(missing)}")
    defines = [f"-DOWN={check.own}", f"-DFAULTS={check.faults}", *(f"-D{fault}" for fault in faults)]
    if check.responses:
        defines.append("-DRESPONSES")
    kind = ["-DNFAIR=3"] if check.liveness else ["-DSAFETY", "-DNOCLAIM"]
    with tempfile.TemporaryDirectory(prefix="turngate-model-") as folder:
        _call(folder, "spin", "-a", *defines, str(MODEL))
        _call(folder, "gcc", "-O2", *kind, f"-DMEMLIM={_MEMORY_MIB}", "-o", "pan", "pan.c")
        return _read(_call(folder, "./pan", f"-m{_DEPTH}", "-E", *(["-a", "-f"] if check.liveness else [])))


def _call(folder: str, *command: str) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise ModelError(f"{command[0]} took more than {_SECONDS} s") from None
    if done.returncode != 0:
        raise ModelError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def _read(output: str) -> Verdict:
    errors = re.search(r"errors: (\d+)", output)
    states = re.search(r"(\d+) states, stored", output)
    seconds = re.search(r"elapsed time ([\d.]+) seconds", output)
    unfinished = "max search depth too small" in output or "MEMLIM bound" in output
    if errors is None or states is None or (unfinished and errors[1] == "0"):
        raise ModelError(f"the search was not completed: {output.strip()[-300:]}")
    finding = re.search(r"^pan:\d+: (.*?)(?: \(at depth \d+\))?$", output, re.MULTILINE)
    return Verdict(int(errors[1]), int(states[1]), float(seconds[1]) if seconds else 0.0, finding[1] if finding else "")


def main(faults: list[str]) -> int:
    """Run every check and print a line for each; returns the exit code."""
    found = 0
    for check in CHECKS:
        try:
            verdict = run(check, *faults)
        except ModelError as error:
            print(f"make model: {error}", file=sys.stderr)
            return 2
        found += verdict.errors
        line = f"{check.name} | {verdict.states:>9,} states | errors: {verdict.errors} {verdict.finding}"
        print(line.rstrip(), flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
