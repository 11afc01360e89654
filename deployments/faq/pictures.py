"""Pictures of an evaluation: the reliability diagram and the histogram of ranks, as PNG files.

Drawn without a window or a global state of matplotlib; the same outcomes give the same bytes.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from deployments.faq.evaluation import BINS, Outcomes, reliability

RELIABILITY = "reliability.png"
RANKS = "ranks.png"
LAST_RANK = 10
"""Ranks beyond it share one bar."""

_DPI = 110


def save_pictures(outcomes: Outcomes, folder: Path) -> None:
    """Write `reliability.png` and `ranks.png` into an existing folder."""
    _save(draw_reliability(outcomes), folder / RELIABILITY)
    _save(draw_ranks(outcomes), folder / RANKS)


def draw_reliability(outcomes: Outcomes) -> Figure:
    """How often the first FAQ is right, by its probability, and how many questions that is.

    Perfect calibration lies on the diagonal (Guo et al., "On Calibration of Modern Neural
    Networks", 2017, figure 1).
    """
    bins = reliability(outcomes)
    some = bins.questions > 0
    figure = Figure(figsize=(5.5, 6.5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    middles = (np.arange(BINS) + 0.5) / BINS
    upper.bar(middles[some], (bins.right[some] / bins.questions[some]), 1 / BINS, edgecolor="white")
    upper.plot(
        bins.probability[some] / bins.questions[some],
        bins.right[some] / bins.questions[some],
        "o",
        color="black",
        label="at the bin's mean probability",
    )
    upper.plot([0, 1], [0, 1], "--", color="grey", label="perfect calibration")
    upper.axvline(outcomes.threshold, color="tab:red", label="threshold")
    upper.set(title="Reliability", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
    upper.legend(loc="upper left")
    lower.bar(middles, bins.questions, 1 / BINS, edgecolor="white")
    lower.set(xlabel="probability of the first FAQ", ylabel="questions")
    return figure


def draw_ranks(outcomes: Outcomes) -> Figure:
    """How many questions have their right FAQ at which place."""
    places = np.minimum(outcomes.ranks, LAST_RANK + 1)
    counts = np.bincount(places, minlength=LAST_RANK + 2)[1:]
    labels = [*(str(rank) for rank in range(1, LAST_RANK + 1)), f"> {LAST_RANK}"]
    figure = Figure(figsize=(6.5, 4), layout="constrained")
    axes = figure.subplots()
    bars = axes.bar(labels, counts)
    axes.bar_label(bars, [str(count) if count else "" for count in counts])
    axes.margins(y=0.1)
    axes.set(title="Ranks", xlabel="rank of the right FAQ", ylabel="questions")
    return figure


def _save(figure: Figure, path: Path) -> None:
    # The version of matplotlib in the metadata would be the only thing that differs.
    figure.savefig(path, dpi=_DPI, format="png", metadata={"Software": None})
