"""Certificates for servers in tests."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.programs import path_in_test


def self_signed(folder: Path, *names: str) -> tuple[Path, Path]:
    """A certificate for localhost that nobody trusts yet, with these names of a host, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    request = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost")
    extension = ("-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names)) if names else ()
    written = ("-keyout", key, "-out", certificate)
    subprocess.run([path_in_test("openssl"), *request, *extension, *written], check=True, capture_output=True)
    return certificate, key
