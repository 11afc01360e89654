from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.image import imread
from matplotlib.patches import Rectangle

from deployments.faq.evaluation import Outcomes
from deployments.faq.pictures import LAST_RANK, draw_ranks, draw_reliability, save_pictures
from tests.deployments.faq.test_evaluation import outcomes

MIXED = outcomes([1, 1, 2, 3, 40], best=[1.0, 0.93, 0.5, 0.2, 0.0], out_of_scope=[0.3])
ALIKE = outcomes([1])


def heights(axes: Axes) -> list[float]:
    return [bar.get_height() for bar in axes.patches if isinstance(bar, Rectangle)]


@pytest.mark.parametrize("given", [MIXED, ALIKE], ids=["mixed", "alike"])
def test_the_same_outcomes_give_the_same_bytes(given: Outcomes, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        save_pictures(given, tmp_path / name)
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [
        "ranks.png",
        "reliability.png",
    ]
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
        assert imread(path).std() > 0


def test_pictures_carry_no_metadata(tmp_path: Path) -> None:
    save_pictures(MIXED, tmp_path)
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        assert b"tEXt" not in content
        assert b"tIME" not in content


def test_the_diagram_shows_how_often_each_bin_is_right() -> None:
    upper, lower = draw_reliability(MIXED).axes
    assert heights(upper) == [0, 0, 0, 1, 1]
    assert sum(heights(lower)) == len(MIXED.ranks)


def test_the_histogram_counts_every_question() -> None:
    (axes,) = draw_ranks(MIXED).axes
    assert heights(axes) == [2, 1, 1, *[0] * (LAST_RANK - 3), 1]
