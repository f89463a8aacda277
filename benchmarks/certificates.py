"""Certificates for servers of the benchmark and of tests, made by ``openssl``."""

from __future__ import annotations

import subprocess
from pathlib import Path


def self_signed(folder: Path, *names: str) -> tuple[Path, Path]:
    """A certificate for localhost that nobody trusts yet, with these names of a host, and its key. Raises
    FileNotFoundError without ``openssl``."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    request = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost")
    extension = ("-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names)) if names else ()
    subprocess.run([*request, *extension, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key
