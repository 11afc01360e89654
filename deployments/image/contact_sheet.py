"""A contact sheet: small pictures, each with the labels that a model gave it as bars.

Drawn without a window or a global state of matplotlib; the same entries give the same bytes.
"""

import math
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from numpy.typing import NDArray

FORMATS = (".png", ".svg", ".pdf")
MOST_ENTRIES = 200
"""More are not drawn, so that memory and the size of the sheet stay bounded."""
MOST_BARS = 5

# Inches.
_PICTURE, _NAME, _BAR, _GAP, _MARGIN = 2.0, 0.24, 0.19, 0.2, 0.25
_DPI = 100
_PAGE_COLUMNS, _PAGE_ROWS = 5, 3
_MOST_COLUMNS = 10
_WIDER_THAN_HIGH = 1.5
_NAME_LENGTH, _LABEL_LENGTH, _PROBLEM_LENGTH = 34, 26, 30
_FIRST, _OTHERS, _TRACK, _EMPTY = "#7fb2e5", "#c3daf1", "#f0f2f5", "#f6e9e7"
_TEXT, _QUIET, _WRONG = "#1b1f24", "#59636e", "#a1260d"


@dataclass(frozen=True)
class Entry:
    """One picture of a sheet.

    picture: RGB uint8 (height, width, 3), square; None where it cannot be shown. labels: with their
    probabilities, best first. problem: why there are none.
    """

    name: str
    picture: NDArray[np.uint8] | None
    labels: Sequence[tuple[str, float]] = ()
    problem: str | None = None


def save_contact_sheet(entries: Sequence[Entry], path: Path) -> None:
    """Writes PNG or SVG (one tall picture) or PDF (pages), by the ending of `path`.

    Raises:
        ValueError: another ending, no entries, or more than `MOST_ENTRIES`
        OSError: the file cannot be written
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise ValueError(f"a contact sheet ends in {', '.join(FORMATS)}, not in {suffix!r}")
    if not 1 <= len(entries) <= MOST_ENTRIES:
        raise ValueError(f"a contact sheet has 1 to {MOST_ENTRIES} entries, not {len(entries)}")
    # Names may be in scripts that the font does not have; they are drawn as boxes.
    with warnings.catch_warnings(), rc_context({"svg.hashsalt": "sheet"}):
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        if suffix == ".pdf":
            with PdfPages(path, metadata={"CreationDate": None}) as pages:
                for page in _pages(entries):
                    pages.savefig(draw_sheet(page, _PAGE_COLUMNS, _PAGE_ROWS))
        else:
            metadata = {"Software": None} if suffix == ".png" else {"Date": None}
            columns, rows = _shape(len(entries))
            figure = draw_sheet(entries, columns, rows)
            figure.savefig(path, format=suffix[1:], dpi=_DPI, metadata=metadata)


def draw_sheet(entries: Sequence[Entry], columns: int, rows: int) -> Figure:
    """The entries row by row, in one pair of axes whose units are inches."""
    bars = min(MOST_BARS, max(len(entry.labels) for entry in entries))
    height = _PICTURE + _NAME + bars * _BAR
    width_in = 2 * _MARGIN + columns * (_PICTURE + _GAP) - _GAP
    height_in = 2 * _MARGIN + rows * (height + _GAP) - _GAP
    figure = Figure(figsize=(width_in, height_in), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width_in), ylim=(height_in, 0))
    axes.set_axis_off()
    for index, entry in enumerate(entries):
        row, column = divmod(index, columns)
        left, top = _MARGIN + column * (_PICTURE + _GAP), _MARGIN + row * (height + _GAP)
        _draw_picture(axes, entry, left, top)
        _draw_bars(axes, entry, left, top + _PICTURE + _NAME)
    # Drawing pictures changes what the axes show.
    axes.set(xlim=(0, width_in), ylim=(height_in, 0), aspect="auto")
    return figure


def _draw_picture(axes: Axes, entry: Entry, left: float, top: float) -> None:
    if entry.picture is None:
        axes.bar(left, _PICTURE, _PICTURE, top, align="edge", color=_EMPTY)
    else:
        axes.imshow(
            entry.picture,
            extent=(left, left + _PICTURE, top + _PICTURE, top),
            interpolation="antialiased",
        )
    if entry.problem is not None:
        _text(
            axes,
            left + _PICTURE / 2,
            top + _PICTURE / 2,
            textwrap.fill(_cut(entry.problem, 5 * _PROBLEM_LENGTH), _PROBLEM_LENGTH),
            color=_WRONG,
            ha="center",
            backgroundcolor=_EMPTY,
        )
    name = entry.name if len(entry.name) <= _NAME_LENGTH else f"…{entry.name[1 - _NAME_LENGTH :]}"
    _text(axes, left, top + _PICTURE + _NAME / 2, name, color=_QUIET)


def _draw_bars(axes: Axes, entry: Entry, left: float, top: float) -> None:
    for rank, (label, probability) in enumerate(entry.labels[:MOST_BARS]):
        middle = top + (rank + 0.5) * _BAR
        thickness = 0.85 * _BAR
        axes.barh(middle, _PICTURE, thickness, left, color=_TRACK)
        axes.barh(
            middle, _PICTURE * probability, thickness, left, color=_OTHERS if rank else _FIRST
        )
        weight = "normal" if rank else "bold"
        _text(axes, left + 0.04, middle, _cut(label, _LABEL_LENGTH), color=_TEXT, weight=weight)
        _text(axes, left + _PICTURE - 0.04, middle, f"{probability:.1%}", color=_TEXT, ha="right")


def _text(axes: Axes, x: float, y: float, text: str, **style: Any) -> None:
    printable = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)
    # Not parsed: a name may hold dollar signs, which would make a formula of it.
    axes.text(x, y, printable, va="center", fontsize=7, parse_math=False, **style)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _shape(entries: int) -> tuple[int, int]:
    """Columns and rows of a single sheet."""
    columns = min(entries, _MOST_COLUMNS, math.ceil(math.sqrt(_WIDER_THAN_HIGH * entries)))
    return columns, math.ceil(entries / columns)


def _pages(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    size = _PAGE_COLUMNS * _PAGE_ROWS
    for start in range(0, len(entries), size):
        yield entries[start : start + size]
