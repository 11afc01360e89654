"""`scoring image classify`, with a model loaded here: tables, JSON lines, the contact sheet."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from serve_app.cli import EXIT_USAGE, main
from serve_app.cli.image_classify import to_table
from serve_app.cli.image_files import Outcome, find_pictures
from tests.serve_app.cli.image_models import ARCHITECTURE, register, save_weights

SETTINGS = ["image.precision=float32", "image.execution=eager", "image.max_batch_size=2"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The settings that find a registered model."""
    folder = tmp_path_factory.mktemp("image")
    assert register(folder, "--weights", str(save_weights(folder / "mine.pth"))) == 0
    return [f"data_dir={folder}", f"image.architecture={ARCHITECTURE}", *SETTINGS]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    for number, name in enumerate(["a.png", "b.JPG", "deep/c.webp"]):
        Image.new("RGB", (40, 30), (80 * number, 0, 0)).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    (folder / "deep" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


def classify(*arguments: str | Path) -> int:
    return main(["image", "classify", *map(str, arguments)])


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_json_lines_in_the_order_of_the_files(
    model: list[str], pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert classify(pictures, "--json", "--top-k", "3", *model) == 1
    output, progress = capsys.readouterr()
    *good, broken = sorted(lines(output), key=lambda line: "problem" in line)
    assert [Path(line["file"]).name for line in lines(output)] == [
        "a.png",
        "b.JPG",
        "broken.png",
        "c.webp",
    ]
    for line in good:
        assert [set(item) for item in line["predictions"]] == [
            {"class_index", "label", "probability"}
        ] * 3
    assert broken["problem"]["code"] == "image_truncated"
    assert "3 classified, 1 failed, 0 not tried" in progress
    assert "4/4" in progress


def test_a_table(model: list[str], pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert classify(pictures / "a.png", pictures / "b.JPG", "--top-k=2", *model) == 0
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["file", "label", "probability", "next", "labels"]
    assert first.startswith(str(pictures / "a.png"))
    assert first.count("%") == second.count("%") == 2


def test_files_and_settings_may_stand_anywhere(
    model: list[str], pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = pictures / "x=y.png"
    (pictures / "a.png").rename(odd)
    assert classify(odd, *model, "--json", pictures / "b.JPG") == 0
    assert [line["file"] for line in lines(capsys.readouterr().out)] == [
        str(odd),
        str(pictures / "b.JPG"),
    ]
    assert classify("nothing=1", odd) == EXIT_USAGE
    assert "nothing is not a setting" in capsys.readouterr().err


def test_what_cannot_be_read_is_said_in_place(
    model: list[str], pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = pictures / "empty"
    empty.mkdir()
    os.mkfifo(pictures / "pipe")
    (pictures / "large.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2000))
    files = [pictures / name for name in ("none.png", "pipe", "large.png", "a.png", "notes.txt")]
    assert classify(empty, *files, "--json", "http.image_limit_bytes=1000", *model) == 1
    found = lines(capsys.readouterr().out)
    assert [line.get("problem", {}).get("code") for line in found] == [
        "no_pictures",
        "file_unreadable",
        "file_unreadable",
        "body_too_large",
        None,
        "not_an_image",
    ]


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_a_contact_sheet(
    suffix: str, model: list[str], pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = pictures / f"sheet{suffix}"
    assert classify(pictures / "a.png", pictures / "none.png", "--plot", sheet, *model) == 1
    assert sheet.stat().st_size > 1000
    assert f"contact sheet: {sheet}" in capsys.readouterr().err


def test_settings_alone_are_no_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert classify("data_dir=x") == EXIT_USAGE
    assert "no file or folder is named" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["a.png", "--top-k", "0"], "not a whole number of 1 to 1000"),
        (["a.png", "--plot", "sheet.jpg"], "must end in .png, .svg, .pdf"),
        (["a.png", "--plot", "nowhere/sheet.png"], "nowhere is not a folder"),
    ],
)
def test_wrong_usage(arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=str(EXIT_USAGE)):
        classify(*arguments)
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (["image.architecture=resnet18"], "scoring image register --architecture resnet18"),
        (["image.weights=none.pth"], "none.pth"),
        ([f"image.architecture={ARCHITECTURE}", "image.device=quantum"], "quantum"),
    ],
)
def test_without_a_model(
    settings: list[str],
    reason: str,
    model: list[str],
    pictures: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert classify(pictures / "a.png", model[0], *settings) == 1
    assert reason in capsys.readouterr().err


def test_real_weights_on_real_photographs(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [f"data_dir={tmp_path}", "image.architecture=mobilenet_v2", *SETTINGS]
    weights = shared_data / "weights" / "mobilenet_v2.pth"
    assert main(["image", "register", "--weights", str(weights), *settings]) == 0
    folder = shared_data / "images" / "labelled"
    with (folder / "manifest.csv").open(encoding="utf-8") as manifest:
        label = {row["file"]: row["label"] for row in csv.DictReader(manifest)}
    capsys.readouterr()
    assert classify(folder, "--json", *settings) == 0
    found = lines(capsys.readouterr().out)
    assert len(found) == len(label) == 50
    right = sum(
        label[Path(line["file"]).name] in [item["label"] for item in line["predictions"]]
        for line in found
    )
    assert right >= 40


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "serve_app.cli", "image", "classify", *map(str, arguments)]


def test_who_reads_may_stop_reading(model: list[str], pictures: Path) -> None:
    with subprocess.Popen(
        command(*[pictures / "a.png"] * 3000, "--json", *model),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
    assert process.returncode == 1


def test_ctrl_c_keeps_what_is_done(model: list[str], pictures: Path) -> None:
    with subprocess.Popen(
        command(*[pictures / "a.png"] * 3000, "--json", *model),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "scoring: interrupted" in errors
    assert "Traceback" not in errors
    assert all("predictions" in line for line in lines(output))


def test_names_cannot_break_the_table() -> None:
    prediction = {"class_index": 0, "label": "tench\x1b[2J", "probability": 1.0}
    rows = to_table([Outcome(Path("a\nb\udcff.png"), [prediction])]).splitlines()
    assert len(rows) == 2
    assert rows[1].startswith(r"'a\nb\udcff.png'")
    assert "\x1b" not in rows[1]


def test_lines_fit_the_terminal() -> None:
    outcome = Outcome(Path("a.png"), problem={"code": "x", "detail": "long " * 50})
    assert max(map(len, to_table([outcome], 60).splitlines())) == 60


def test_folders_are_searched_and_links_not_followed(pictures: Path) -> None:
    (pictures / "loop").symlink_to(pictures)
    files, problems = find_pictures([pictures])
    assert [file.name for file in files] == ["a.png", "b.JPG", "broken.png", "c.webp"]
    assert problems == []
