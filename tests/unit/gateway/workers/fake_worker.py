"""A process with the face of a worker: it answers 200 on the socket of its place, and does what its first argument
says."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def main(what: str, text: str) -> int:
    place = json.loads(text)
    if what == "misused":
        print("TURNGATE_SOMETHING: is wrong", flush=True)
        return 2
    if what == "broken":
        return 3
    starts = Path(place["shared"])
    count = int(starts.read_text()) + 1 if starts.exists() else 1
    starts.write_text(str(count))
    if what == "broken later" and count > 1:
        return 3
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place["internal"])
    listener.listen()
    while True:
        peer, _ = listener.accept()
        with peer:
            peer.recv(1_000)
            peer.sendall(ANSWER)
        if what == "dies":
            os._exit(4)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
