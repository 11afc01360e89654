"""`scoring rank` and `scoring classify` against the application around fakes."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.cli import EXIT_USAGE, main
from serve_app.cli.rank import BAR_WIDTH, bar
from serve_app.configuration import API_KEY
from tests.serve_app.client.server import Served, free_port, png, serving


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as served:
        yield served


def test_a_table_with_bars(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rank", "what is a\nclosure", "--url", served.url, "--top-k", "2"]) == 0
    question, first, second, model = capsys.readouterr().out.splitlines()
    assert question == r"'what is a\nclosure'"
    assert first.split()[:2] == ["90.0%", "█" * 18]
    assert second.split()[:2] == ["45.0%", "█" * 9]
    assert "faq version 3" in model


def test_questions_from_arguments_and_standard_input_as_json_lines(
    served: Served, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\nsecond\n  third \n"))
    monkeypatch.setenv(API_KEY, "secret")
    assert main(["rank", "first", "-", "--url", served.url, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["asked"] for line in lines] == ["first", "second", "third"]
    assert [line["matches"][0]["question"] for line in lines] == ["first", "second", "third"]
    assert len(served.paths) == 1
    assert served.headers[0]["authorization"] == "Bearer secret"


def test_more_questions_than_a_request_takes(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rank", *(f"q{n}" for n in range(300)), "--url", served.url, "--json"]) == 0
    asked = [json.loads(line)["asked"] for line in capsys.readouterr().out.splitlines()]
    assert asked == [f"q{n}" for n in range(300)]
    assert len(served.paths) == 2


def test_what_goes_wrong_is_said(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rank", " ", "--url", served.url]) == 1
    assert "question_empty" in capsys.readouterr().err
    assert main(["rank", "why", "--url", f"http://127.0.0.1:{free_port()}"]) == 1
    assert "unreachable" in capsys.readouterr().err
    assert main(["rank", "why", "--url", "host:80"]) == EXIT_USAGE


def test_no_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["rank", "-"]) == EXIT_USAGE


@given(st.floats(allow_nan=False))
def test_a_bar_has_its_width_and_never_shrinks(share: float) -> None:
    assert len(bar(share)) == BAR_WIDTH
    assert bar(0) == " " * BAR_WIDTH
    assert bar(1) == "█" * BAR_WIDTH


def test_classify_asks_the_service(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "nine.png"
    file.write_bytes(png(9))
    assert main(["classify", str(file), "--url", served.url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["predictions"][0]["label"] == "class 9"


def test_classify_has_an_address_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["classify", "--help"])
    assert "--url" in capsys.readouterr().out
