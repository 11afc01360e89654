"""Goals and plots of the picture benchmark."""

import math
from pathlib import Path

import pytest

from benchmarks.image_goals import goals
from benchmarks.image_plots import draw_images
from benchmarks.report import Measurement, Report, render, summarise


def measured(
    name: str, family: str, connections: int, rate: float, refused: int = 0, **sizes: int
) -> Measurement:
    detail = {"batch_sizes": {key.removeprefix("of"): count for key, count in sizes.items()}}
    return Measurement(name, family, connections, rate, 100, 200, 0, refused, detail)


ROUND = [
    measured("PyTorch loop, decoded before", "PyTorch", 0, 20),
    measured("this application", "application", 1, 6, of1=10),
    measured("this application", "application", 16, 19, of4=3, of8=9),
    measured("this application", "application", 64, 18, refused=7, of8=12),
    measured("the same on @serve.batch", "@serve.batch", 16, 15, of16=4),
    measured("LitServe example", "LitServe", 16, 6),
    measured("LitServe batched", "LitServe", 64, 8),
]


def test_goals_compare_each_at_its_best() -> None:
    bare, example, lone = goals(summarise(ROUND), 1.1)
    assert bare.measured == pytest.approx(19 / 20)
    assert example.measured == pytest.approx(19 / 8)
    assert lone.measured == 1.1
    assert all(goal.met for goal in (bare, example, lone))


def test_without_the_example_its_goal_is_missed() -> None:
    example = goals(summarise(ROUND[:4]), math.nan)[1]
    assert math.isnan(example.measured)
    assert not example.met


def test_refusals_have_a_column_where_there_are_any() -> None:
    lines = render(Report("images", "x", rows=summarise(ROUND))).splitlines()
    assert lines[4].endswith("| to this application | refused |")
    assert any("| 64 | 18.0 |" in line and line.endswith("| 7 |") for line in lines)


def test_throughput_and_batches_are_drawn(tmp_path: Path) -> None:
    report = Report("images", "x", rows=summarise(ROUND), measurements=tuple(ROUND))
    drawn = draw_images(report, tmp_path)
    assert [target.name for target in drawn] == ["images.png", "images_batches.png"]
    assert all(target.read_bytes().startswith(b"\x89PNG") for target in drawn)


def test_without_counted_batches_there_is_one_plot(tmp_path: Path) -> None:
    loops = summarise(ROUND[:1])
    drawn = draw_images(Report("images", "x", rows=loops), tmp_path)
    assert [target.name for target in drawn] == ["images.png"]
