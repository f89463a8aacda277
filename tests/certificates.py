"""Certificates for servers in tests."""

from __future__ import annotations

from pathlib import Path

from benchmarks import certificates
from tests.programs import path_in_test


def self_signed(folder: Path, *names: str) -> tuple[Path, Path]:
    """A certificate for localhost that nobody trusts yet, with these names of a host, and its key."""
    path_in_test("openssl")
    return certificates.self_signed(folder, *names)
