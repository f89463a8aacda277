"""Every row of both protocols' descriptions is named by a test, and no test names a row that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rows import ROWS, naming_tests

_NAMED = naming_tests()


@pytest.mark.parametrize("row", ROWS)
def test_a_row_is_named_by_a_test(row: str) -> None:
    assert _NAMED.get(row), "no test has this row in its docstring, in quotes"


def test_tests_name_rows_that_exist() -> None:
    assert set(_NAMED) - set(ROWS) == set()


def test_a_row_is_found_in_a_docstring_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(
        'def test_a():\n    """Rows "agent: a b" and "component:\n    c": so."""\n\n'
        'def test_b():\n    assert "agent: d"\n\ndef helper():\n    """Row "agent: e"."""\n'
    )
    place = f"{tmp_path.name}/test_x.py::test_a"
    assert naming_tests(tmp_path) == {"agent: a b": [place], "component: c": [place]}
