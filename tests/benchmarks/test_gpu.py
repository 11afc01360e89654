"""The benchmark of one device, run for real on the processor."""

import io
import json
import math
from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmarks import gpu
from benchmarks.gpu_engine import PICTURE_SIZE, synthetic_pictures
from benchmarks.report import Measurement, summarise


# torchvision 0.29 announces the end of its decoders; 0.26, where GPUs are measured, does not.
@pytest.mark.filterwarnings("ignore:The image decoding:DeprecationWarning")
def test_it_measures_everything_but_the_application_on_a_processor(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "--device cpu --architecture resnet18 --seconds 0.2 --batch-sizes 1 2 --no-compile"
    status = gpu.main(
        [*words.split(), "--max-batch-size", "2", "--without-application", "--out", str(tmp_path)]
    )
    assert status == 0
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert (tmp_path / "gpu.png").read_bytes().startswith(b"\x89PNG")
    rates = {row["name"]: row["requests_per_s"] for row in found["rows"]}
    assert all(rate > 0 for rate in rates.values())
    families = [row["family"] for row in found["rows"]]
    assert families == ["decoding", "decoding", "engine", "bare", "bare"]
    engine, application = found["goals"]
    assert engine["measured"] > 0
    assert application["measured"] is None
    assert "bare model, eager, batch 2" in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert gpu.main(["--out", str(tmp_path)]) == 1
    assert "no GPU" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_goals_compare_with_the_bare_model_at_its_best() -> None:
    rows = summarise(
        [
            Measurement("eager", "bare", 0, 800.0, 1, 1, 0),
            Measurement("graph", "bare", 0, 1000.0, 1, 1, 0),
            Measurement("engine", "engine", 0, 960.0, 1, 1, 0),
            Measurement("this application", "application", 256, 700.0, 1, 1, 0),
        ]
    )
    assert [(goal.measured, goal.met) for goal in gpu.goals(rows)] == [(0.96, True), (0.7, False)]


def test_an_application_that_was_not_measured_misses_its_goal() -> None:
    goal = gpu.goals(summarise([Measurement("eager", "bare", 0, 800.0, 1, 1, 0)]))[1]
    assert math.isnan(goal.measured)
    assert not goal.met


def test_synthetic_pictures_are_different_jpegs() -> None:
    files = synthetic_pictures(3)
    assert len(set(files)) == 3
    assert {Image.open(io.BytesIO(file)).size for file in files} == {PICTURE_SIZE}
    assert files == synthetic_pictures(3)
