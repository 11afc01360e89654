"""Pictures of a load test: throughput and latency over time, and by step where it climbed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from serve_app.load.record import ANSWERED, ERROR, REFUSAL, Figures, Record, Rows

FORMATS = (".png", ".svg", ".pdf")
MOST_BINS = 120
COLOURS = {"answered": "#1b7837", "refused": "#e08214", "errors": "#b2182b"}
_OUTCOMES = {"answered": ANSWERED, "refused": REFUSAL, "errors": ERROR}


def save_plot(record: Record, path: Path, *, unit: str) -> None:
    """Writes the picture; `unit` names the load of a step. Raises OSError."""
    from matplotlib.figure import Figure

    steps = record.by_step()
    columns = 2 if len(steps) > 1 else 1
    figure = Figure(figsize=(7 * columns, 7), layout="constrained")
    axes = figure.subplots(2, columns, squeeze=False)
    rows = record.rows()
    _over_time(axes[0][0], axes[1][0], rows)
    if columns == 2:
        _by_step(axes[0][1], axes[1][1], steps, unit)
    figure.savefig(path, dpi=110)


def _over_time(upper: Any, lower: Any, rows: Rows) -> None:
    end_s = max(1e-3, float(rows.ended_s.max(initial=0.0)))
    edges = np.linspace(0, end_s, min(MOST_BINS, max(10, int(end_s))) + 1)
    middle = (edges[:-1] + edges[1:]) / 2
    for name, outcome in _OUTCOMES.items():
        ended = rows.ended_s[rows.outcome == outcome]
        if len(ended) or outcome == ANSWERED:
            rate = np.histogram(ended, edges)[0] / np.diff(edges)
            upper.plot(middle, rate, label=name, color=COLOURS[name])
    _label(upper, "seconds", "per second")
    good = rows.outcome == ANSWERED
    places = np.digitize(rows.ended_s[good], edges[1:-1])
    for percent in (50, 99):
        values = _by_bin(rows.latency_s[good], places, len(middle), percent)
        lower.plot(middle, values, label=f"p{percent}")
    _label(lower, "seconds", "latency, ms")


def _by_bin(
    latency_s: npt.NDArray[np.float64], places: npt.NDArray[np.intp], bins: int, percent: float
) -> list[float]:
    order = np.argsort(places, kind="stable")
    parts = np.split(latency_s[order], np.searchsorted(places[order], np.arange(1, bins)))
    return [float(np.percentile(part, percent)) * 1000 if len(part) else np.nan for part in parts]


def _by_step(upper: Any, lower: Any, steps: Sequence[Figures], unit: str) -> None:
    loads = [step.load for step in steps]
    for name in COLOURS:
        counts = [getattr(step, name) / step.seconds if step.seconds else 0.0 for step in steps]
        if any(counts):
            upper.plot(loads, counts, marker="o", label=name, color=COLOURS[name])
    _label(upper, unit, "per second")
    for name in ("p50", "p99"):
        values = [step.latency_ms[name] if step.latency_ms else np.nan for step in steps]
        lower.plot(loads, values, marker="o", label=name)
    _label(lower, unit, "latency, ms")


def _label(axes: Any, below: str, beside: str) -> None:
    axes.set(xlabel=below, ylabel=beside)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(loc="best")
