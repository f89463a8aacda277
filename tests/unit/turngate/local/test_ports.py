"""Ports that are found for services."""

from __future__ import annotations

import socket
import subprocess
import sys

from turngate.local import ports
from turngate.local.ports import free_port, is_free

_TAKE = "from turngate.local.ports import free_port; print(*(free_port() for _ in range({count})), flush=True); input()"


def _listen(port: int, option: int = socket.SO_REUSEADDR) -> socket.socket:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, option, 1)
    server.bind(("127.0.0.1", port))
    server.listen()
    return server


def test_no_port_is_found_twice_before_it_is_bound() -> None:
    found = [free_port() for _ in range(200)]
    assert len(set(found)) == len(found)


def test_no_port_is_found_by_two_processes() -> None:
    command = (sys.executable, "-c", _TAKE.format(count=200))
    all_of_them = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    found = []
    for process in all_of_them:
        assert process.stdout is not None
        found += process.stdout.readline().split()
    for process in all_of_them:
        process.communicate("\n")
    assert len(set(found)) == len(found) == 800


def test_a_server_listens_on_the_port_that_was_found() -> None:
    port = free_port()
    assert is_free(port)
    with _listen(port), socket.create_connection(("127.0.0.1", port)):
        assert not is_free(port)
    # And again, as after a restart.
    with _listen(port), socket.create_connection(("127.0.0.1", port)):
        pass


def test_the_last_ports_alone_are_kept() -> None:
    for _ in range(2 * ports._TAKEN_MAX):
        free_port()
    assert len(ports._taken) == ports._TAKEN_MAX
