from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from deployments.image.contact_sheet import MOST_ENTRIES, Entry, draw_sheet, save_contact_sheet

RED = np.full((8, 8, 3), (255, 0, 0), np.uint8)
ENTRIES = [
    Entry("red.png", RED, [("tench", 0.75), ("goldfish", 0.2)]),
    Entry("broken.png", None, problem="the picture is damaged"),
    Entry("cost $1 or $2.png", RED, [("a label that is far too long for its bar", 1.0)]),
    Entry("\u6f22\u5b57\n\x1b[31m\udcff.png", RED, [("tench", 0.5)]),
]


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_same_entries_give_the_same_bytes(suffix: str, tmp_path: Path) -> None:
    one, two = tmp_path / f"one{suffix}", tmp_path / f"two{suffix}"
    save_contact_sheet(ENTRIES, one)
    save_contact_sheet(ENTRIES, two)
    assert one.read_bytes() == two.read_bytes()


def test_every_picture_is_seen(tmp_path: Path) -> None:
    save_contact_sheet(ENTRIES, tmp_path / "sheet.png")
    pixels = imread(tmp_path / "sheet.png")[..., :3]
    red = (pixels == (1, 0, 0)).all(axis=2)
    assert red.sum() == pytest.approx(3 * 200 * 200, rel=0.02)


def test_texts_and_bars() -> None:
    (axes,) = draw_sheet(ENTRIES, 2, 2).axes
    texts = [text.get_text() for text in axes.texts]
    for expected in ("red.png", "tench", "75.0%", "goldfish", "cost $1 or $2.png"):
        assert expected in texts
    assert "the picture is damaged" in texts
    assert any(text.endswith("…") for text in texts)
    widths = {round(patch.get_width(), 6) for patch in axes.patches}  # type: ignore[attr-defined]
    assert widths == {2.0, 1.5, 0.4, 1.0}


def test_a_pdf_has_pages(tmp_path: Path) -> None:
    save_contact_sheet([ENTRIES[0]] * 31, tmp_path / "sheet.pdf")
    assert b"/Count 3" in (tmp_path / "sheet.pdf").read_bytes()


@pytest.mark.parametrize(
    ("count", "name", "message"),
    [(1, "a.jpg", "ends in .png"), (0, "a.png", "1 to"), (MOST_ENTRIES + 1, "a.png", "1 to")],
)
def test_what_is_refused(count: int, name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        save_contact_sheet([ENTRIES[0]] * count, tmp_path / name)
