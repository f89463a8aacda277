"""``make model``: checks every state of the models of the reservation protocol and of ownership with SPIN; see
`docs/model.md`.

    python -m tools.model.check                    # all checks, in three or four minutes
    python -m tools.model.check NO_FENCE           # with an injected fault, which must be detected

Exit code 0 if no error was found, 1 if one was, 2 if the tools are missing.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

MODEL = Path(__file__).parent / "turngate.pml"
OWNER_MODEL = Path(__file__).parent / "owner.pml"
EPOCH_MODEL = Path(__file__).parent / "epoch.pml"
#: The required programs, which are also the names of their Debian and Ubuntu packages.
_TOOLS = ("spin", "gcc")
_MEMORY_MIB = 3_000
_SECONDS = 240
_DEPTH = 20_000


class ModelError(Exception):
    """The check could not be completed. The text is one line with the reason."""


@dataclass(frozen=True, slots=True)
class Check:
    """One search of all states of the reservation protocol that are reachable within these bounds."""

    #: False: check that the assertions hold in every state. True: check that every fair run settles every request.
    liveness: bool
    #: True: two response requests. False: one configuration request and one response request.
    responses: bool
    #: Number of automatic responses of the upstream.
    own: int
    #: Number of faults: messages lost, duplicated or late, and timers that expire too early.
    faults: int

    model: ClassVar[Path] = MODEL
    #: Some processes wait for ever for what does not come any more.
    options: ClassVar[tuple[str, ...]] = ("-E",)

    @property
    def defines(self) -> list[str]:
        """The bounds, as options of the preprocessor."""
        return [f"-DOWN={self.own}", f"-DFAULTS={self.faults}", *(["-DRESPONSES"] if self.responses else [])]

    @property
    def name(self) -> str:
        requests = "two responses" if self.responses else "configuration and response"
        return (
            f"{'settled' if self.liveness else 'safe':7} | {requests:26} | {self.own} automatic, {self.faults} faults"
        )


@dataclass(frozen=True, slots=True)
class OwnerCheck:
    """One search of all states of the ownership of a session that are reachable within these bounds."""

    #: Connections of the client after the first.
    comes: int
    #: Number of faults: a message lost, a gateway killed or cut off, Redis emptied.
    faults: int
    #: What the client says.
    says: int = 2

    model: ClassVar[Path] = OWNER_MODEL
    #: No process may wait for ever.
    options: ClassVar[tuple[str, ...]] = ()
    liveness: ClassVar[bool] = False

    @property
    def defines(self) -> list[str]:
        """The bounds, as options of the preprocessor."""
        return [f"-DCOMES={self.comes}", f"-DFAULTS={self.faults}", f"-DSAYS={self.says}"]

    @property
    def name(self) -> str:
        return f"owner   | {f'{self.comes} returns, {self.says} messages':26} | {self.faults} faults".ljust(57)


@dataclass(frozen=True, slots=True)
class EpochCheck:
    """One search of all states of what the owners of a session do that are reachable within these bounds."""

    #: False: check that the assertions hold in every state. True: check that every fair run serves the client, and ends
    #: every claim and every older owner.
    liveness: bool
    #: Connections of the client after the first.
    comes: int
    #: A gateway killed or cut off, Redis emptied.
    faults: int = 0
    #: Messages lost or doubled.
    lost: int = 0
    #: Gateways that hand the session over.
    drains: int = 0

    model: ClassVar[Path] = EPOCH_MODEL
    #: A client that is told to connect again may not do so.
    options: ClassVar[tuple[str, ...]] = ("-E",)

    @property
    def defines(self) -> list[str]:
        """The bounds, as options of the preprocessor."""
        bounds = {"COMES": self.comes, "FAULTS": self.faults, "LOST": self.lost, "DRAINS": self.drains}
        return [f"-D{name}={bound}" for name, bound in bounds.items()]

    @property
    def name(self) -> str:
        kind = "served" if self.liveness else "epoch"
        bounds = f"{self.comes} returns, {self.drains} hand-overs"
        return f"{kind:7} | {bounds:26} | {self.lost} lost, {self.faults} faults".ljust(57)


AnyCheck = Check | OwnerCheck | EpochCheck


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The result of one search."""

    errors: int
    states: int
    seconds: float
    #: The violated property in SPIN's words; empty if there is none.
    finding: str


CHECKS: tuple[AnyCheck, ...] = (
    *(
        Check(liveness, responses, own, faults)
        for liveness, responses, own, faults in (
            (False, False, 1, 1),
            (False, False, 2, 0),
            (False, True, 1, 1),
            (True, False, 1, 1),
            (True, True, 1, 0),
            (True, True, 0, 2),
        )
    ),
    OwnerCheck(comes=3, faults=0),
    OwnerCheck(comes=2, faults=1),
    OwnerCheck(comes=2, faults=2),
    OwnerCheck(comes=3, faults=1, says=1),
    EpochCheck(liveness=False, comes=2, drains=1),
    EpochCheck(liveness=False, comes=1, faults=1, lost=1, drains=1),
    EpochCheck(liveness=False, comes=2, faults=1),
    EpochCheck(liveness=False, comes=2, lost=1),
    EpochCheck(liveness=True, comes=2),
    EpochCheck(liveness=True, comes=1, faults=1, drains=1),
    EpochCheck(liveness=True, comes=1, lost=1, drains=1),
)


def run(check: AnyCheck, *faults: str) -> SearchResult:
    """Build the verifier and run it. ``faults`` are names from the model's header comment. Raises `ModelError`."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        raise ModelError(f"{missing[0]} is not installed: apt-get install {' '.join(missing)}")
    defines = [*check.defines, *(f"-D{fault}" for fault in faults)]
    kind = ["-DNFAIR=5"] if check.liveness else ["-DSAFETY", "-DNOCLAIM"]
    with tempfile.TemporaryDirectory(prefix="turngate-model-") as folder:
        _call(folder, "spin", "-a", *defines, str(check.model))
        _call(folder, "gcc", "-w", "-O2", *kind, f"-DMEMLIM={_MEMORY_MIB}", "-o", "pan", "pan.c")
        return _read(_call(folder, "./pan", f"-m{_DEPTH}", *check.options, *(["-a", "-f"] if check.liveness else [])))


def _call(folder: str, *command: str) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise ModelError(f"{command[0]} took more than {_SECONDS} s") from None
    if done.returncode != 0:
        raise ModelError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def _read(output: str) -> SearchResult:
    errors = re.search(r"errors: (\d+)", output)
    states = re.search(r"(\d+) states, stored", output)
    seconds = re.search(r"elapsed time ([\d.]+) seconds", output)
    unfinished = "max search depth too small" in output or "MEMLIM bound" in output
    if errors is None or states is None or (unfinished and errors[1] == "0"):
        raise ModelError(f"the search was not completed: {output.strip()[-300:]}")
    finding = re.search(r"^pan:\d+: (.*?)(?: \(at depth \d+\))?$", output, re.MULTILINE)
    return SearchResult(
        int(errors[1]), int(states[1]), float(seconds[1]) if seconds else 0.0, finding[1] if finding else ""
    )


def main(faults: list[str]) -> int:
    """Run every check and print a line for each; returns the exit code."""
    found = 0
    for check in CHECKS:
        try:
            result = run(check, *faults)
        except ModelError as error:
            print(f"make model: {error}", file=sys.stderr)
            return 2
        found += result.errors
        line = f"{check.name} | {result.states:>9,} states | errors: {result.errors} {result.finding}"
        print(line.rstrip(), flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
