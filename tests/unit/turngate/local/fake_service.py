"""A fake service: ``python fake_service.py PORT [MODE]`` answers ``/ready`` and ends on SIGTERM, unless MODE differs.

It appends a line to the file in TURNGATE_TEST_JOURNAL when it starts and when it ends.

Modes: ``fails`` (a line on standard error, exit 1), ``stubborn`` (ignores SIGTERM), ``unready`` (answers 503),
``dies-again`` (exits 3 once the file in TURNGATE_TEST_FLAG exists).
"""

from __future__ import annotations

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

port, mode = int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "good"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503 if mode == "unready" else 200)
        self.end_headers()
        self.wfile.write(b"consumers are not running" if mode == "unready" else b"ok")

    def log_message(self, *_: object) -> None:
        """Log nothing."""


if mode == "fails":
    print('{"event": "starting", "level": "info"}', file=sys.stderr)
    sys.exit("TURNGATE_FAKE_SERVICE: told to fail")
if mode == "dies-again" and os.path.exists(os.environ["TURNGATE_TEST_FLAG"]):
    sys.exit(3)


def end(*_: object) -> None:
    note("ends")
    os._exit(0)


def note(what: str) -> None:
    if journal := os.environ.get("TURNGATE_TEST_JOURNAL"):
        with open(journal, "a") as file:
            file.write(f"{what} {port}\n")


signal.signal(signal.SIGTERM, signal.SIG_IGN if mode == "stubborn" else end)
print('{"event": "a noisy detail", "level": "info"}', file=sys.stderr)
print('{"event": "a thing to know", "level": "warning", "limit": 3}', file=sys.stderr)
server = HTTPServer(("127.0.0.1", port), Handler)
note("starts")
server.serve_forever()
