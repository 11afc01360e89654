import pytest

from serve_app.cli.tables import render


def test_columns_are_aligned() -> None:
    assert render([("", "A", "B"), ("mean rank", "1.5", "10.25")]) == (
        "             A      B\nmean rank  1.5  10.25"
    )


def test_refuses_rows_of_other_lengths() -> None:
    with pytest.raises(ValueError, match="shorter"):
        render([("a", "b"), ("c",)])
