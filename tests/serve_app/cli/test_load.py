"""`scoring load` against the application around fakes."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.cli import EXIT_USAGE, main
from serve_app.configuration import API_KEY
from serve_app.errors import Overloaded
from tests.serve_app.client.server import Served, free_port, png, serving

QUICK = ["--seconds", "0.5", "--warm-up", "0.1"]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as served:
        yield served


def load(served: Served, *words: str) -> int:
    return main(["load", "--url", served.url, *QUICK, *words])


def test_a_closed_loop_with_objectives_json_and_plot(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures, plot = tmp_path / "load.json", tmp_path / "load.png"
    objectives = ["--objective", "p99<9s", "--objective", "errors<=0%"]
    words = ["--connections", "3", "--json", str(figures), "--plot", str(plot), *objectives]
    assert load(served, *words) == 0
    shown = capsys.readouterr().out
    assert "p99.9 ms" in shown
    assert shown.count(" met") == 2
    content = json.loads(figures.read_text())
    assert content["total"]["answered"] > 10
    assert content["total"]["errors"] == 0
    assert content["loop"] == "closed"
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert set(served.paths) == {"/readyz", "/v1/faq/rank"}
    asked = {call[0].text for call in served.application.faq.calls}
    assert len(asked) > 10


def test_a_missed_objective_is_the_exit_status(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load(served, "--objective", "p50<0.001ms", "--objective", "p50<9s") == 1
    assert "MISSED" in capsys.readouterr().out


def test_pictures_in_an_open_loop_that_climbs(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for red in (1, 2):
        (folder / f"{red}.png").write_bytes(png(red))
    words = ["--target", "images", "--payloads", str(folder), "--ramp", "20:40", "--steps", "2"]
    assert load(served, *words) == 0
    shown = capsys.readouterr().out
    assert "20 requests/s" in shown
    assert "40 requests/s" in shown
    assert served.paths.count("/v1/images/classify") > 5


def test_the_example_picture_is_the_default(served: Served) -> None:
    assert load(served, "--target", "images", "--rate", "20") == 0
    assert "/v1/images/classify" in served.paths


def test_questions_of_a_table_and_the_key(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mine.tsv"
    table.write_text("Text\tOther\nmy question\tx\n")
    monkeypatch.setenv(API_KEY, "secret")
    assert load(served, "--payloads", str(table), "--ramp-connections", "1:2") == 0
    assert {call[0].text for call in served.application.faq.calls} == {"my question"}
    assert {head["authorization"] for head in served.headers} == {"Bearer secret"}


def test_refusals_are_no_errors_but_alone_no_success(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    served.application.faq.error = Overloaded("full", retry_after_s=1)
    assert load(served, "--objective", "errors<=0%", "--warm-up", "0") == 1
    output, errors = capsys.readouterr()
    assert "MISSED" not in output
    assert "nothing was answered" in errors


def test_a_service_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["load", "--url", f"http://127.0.0.1:{free_port()}"]) == 1
    assert "unreachable" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("payloads", "reason"),
    [("absent.tsv", "cannot be read"), ("empty.tsv", "no question"), (".", "not a table")],
)
def test_payloads_that_are_none(
    payloads: str, reason: str, served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.tsv").write_text("Text\n")
    assert load(served, "--payloads", str(tmp_path / payloads)) == 1
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["--objective", "p99<50"],
        ["--rate", "0"],
        ["--ramp", "5"],
        ["--connections", "0"],
        ["--rate", "5", "--connections", "5"],
        ["--plot", "figure.txt"],
        ["--json", "/no/such/folder/file"],
    ],
)
def test_arguments_that_mean_nothing(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(["load", *words])


@pytest.mark.parametrize("words", [["--url", "host:80"], ["--ramp-connections", "5:2"]])
def test_values_that_mean_nothing(words: list[str]) -> None:
    assert main(["load", *words]) == EXIT_USAGE


def test_the_last_line_of_standard_output_is_all_figures(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--rate", "30", "--connection-life", "0.1", "--connect-retries", "3"]
    assert load(served, *words, "--connect-timeout", "1", "--json", "-") == 0
    output, errors = capsys.readouterr()
    content = json.loads(output.splitlines()[-1])
    assert content["total"]["answered"] > 3
    assert (content["retries"], content["failures"]) == (0, [])
    assert errors == ""  # no bar where nobody looks
    assert len(served.clients) > 2


@pytest.mark.parametrize(
    "words",
    [
        ["--connection-life", "5"],
        ["--connect-retries", "1", "--connections", "4"],
        ["--connect-timeout", "1"],
    ],
)
def test_what_is_for_an_open_loop_is_refused_in_a_closed_one(
    words: list[str], served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    assert load(served, *words) == EXIT_USAGE
    assert "--rate" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_early_and_reports(number: signal.Signals, served: Served) -> None:
    command = [sys.executable, "-m", "serve_app.cli", "load", "--url", served.url]
    with subprocess.Popen(
        [*command, "--seconds", "100"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    ) as process:
        deadline = time.monotonic() + 60
        while served.paths.count("/v1/faq/rank") < 500 and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert "ended early" in errors
    assert "p99.9 ms" in output
    assert process.returncode in (0, 1)
