from __future__ import annotations

import os
from pathlib import Path

from turngate.cli.lines import READ_AHEAD, read_lines


async def test_lines_of_a_pipe_are_yielded_when_written() -> None:
    reader, writer = os.pipe()
    try:
        lines = read_lines(reader)
        os.write(writer, b"one\r\n")
        assert await anext(lines) == "one"
        os.write(writer, "zwei äöü\n\nlast".encode())
        os.close(writer)
        assert [line async for line in lines] == ["zwei äöü", "", "last"]
    finally:
        os.close(reader)


async def test_no_more_than_a_bounded_number_of_lines_is_read_ahead(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"0123456\n" * 5_000)
    with path.open("rb") as file:
        taken = 0
        async for _ in read_lines(file.fileno()):
            taken += 1
            ahead = os.lseek(file.fileno(), 0, os.SEEK_CUR) // 8 - taken
            # Plus one line that the thread has read, and one for the line consumed last.
            assert ahead <= READ_AHEAD + 2


async def test_a_file_may_be_longer_than_the_read_ahead(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    expected = [str(number) for number in range(READ_AHEAD * 3)]
    path.write_text("\n".join(expected))
    with path.open("rb") as file:
        assert [line async for line in read_lines(file.fileno())] == expected
