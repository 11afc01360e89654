"""What a benchmark found: a table for people, JSON for programs, a plot for the eye."""

import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import machine

APPLICATION = "application"
"""The family that ratios refer to."""


@dataclass(frozen=True)
class Measurement:
    """One server in one round; NaN where nothing was answered.

    `connections` is 0 for what is no server: a loop in its own process. `refused` counts answers
    with 429, which are neither throughput nor errors.
    """

    name: str
    family: str
    connections: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    errors: int
    refused: int = 0
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """Medians of one server's rounds; errors and refusals are their sums.

    `ratio` is the throughput as a multiple of this application's at as many connections, and NaN
    where that was not measured.
    """

    name: str
    family: str
    connections: int
    rounds: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    errors: int
    ratio: float
    refused: int = 0


@dataclass(frozen=True)
class Goal:
    """A figure to reach; `measured` is NaN where what it needs was not measured."""

    text: str
    wanted: float
    measured: float
    at_least: bool

    @property
    def met(self) -> bool:
        """A figure that was not measured is not met."""
        if self.at_least:
            return self.measured >= self.wanted
        return self.measured <= self.wanted


@dataclass(frozen=True)
class Report:
    """One scenario's findings. `failures` names what could not be measured, and why."""

    scenario: str
    command: str
    rows: tuple[Row, ...] = ()
    goals: tuple[Goal, ...] = ()
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    measurements: tuple[Measurement, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)


def summarise(measurements: Sequence[Measurement]) -> tuple[Row, ...]:
    """Medians over the rounds, in the order of first appearance."""
    groups: dict[tuple[str, int], list[Measurement]] = {}
    for each in measurements:
        groups.setdefault((each.name, each.connections), []).append(each)
    own = {
        each[0].connections: _median(each, "requests_per_s")
        for each in groups.values()
        if each[0].family == APPLICATION
    }
    own[0] = own[max(own)] if own else math.nan
    return tuple(_row(each, own.get(each[0].connections, math.nan)) for each in groups.values())


def best(rows: Sequence[Row], family: str, connections: int) -> Row | None:
    """The fastest variant of a family, which alone counts in a comparison.

    A variant with errors or without an answer does not count: fast wrong answers are no throughput.
    """
    mine = [
        row
        for row in rows
        if (row.family, row.connections, row.errors) == (family, connections, 0)
        and row.requests_per_s > 0
    ]
    return max(mine, key=lambda row: row.requests_per_s, default=None)


def render(report: Report) -> str:
    """The report as Markdown."""
    parts = [f"## {report.scenario}", f"`{report.command}`"]
    if report.rows:
        parts.append(_table(report.rows))
    if report.goals:
        parts.append("\n".join(_goal(goal) for goal in report.goals))
    if report.failures:
        parts.append("\n".join(f"- not measured: {failure}" for failure in report.failures))
    if report.notes:
        parts.append("\n".join(f"- {note}" for note in report.notes))
    return "\n\n".join(parts)


def plot(report: Report, target: Path) -> None:
    """Throughput and latency as bars, a row of panels for each number of connections.

    Loops, which have none, stand beside the servers with the most.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    counts = sorted({row.connections for row in report.rows} - {0}, reverse=True) or [0]
    figure, grid = pyplot.subplots(
        len(counts), 2, figsize=(12, 0.8 + 3.2 * len(counts)), squeeze=False, layout="constrained"
    )
    for (left, right), connections in zip(grid, counts, strict=True):
        shown = {connections, 0} if connections == counts[0] else {connections}
        rows = [row for row in reversed(report.rows) if row.connections in shown]
        names = [row.name for row in rows]
        colours = ["tab:blue" if row.family == APPLICATION else "silver" for row in rows]
        left.barh(names, [row.requests_per_s for row in rows], color=colours)
        left.set_title(f"requests/s, {_connections(connections)}")
        right.barh(names, [row.p99_ms for row in rows], color="lightgrey", label="p99")
        right.barh(names, [row.p50_ms for row in rows], color="dimgrey", label="p50")
        right.set_yticks([])
        right.set_title("latency, ms")
        right.legend()
    figure.savefig(target, dpi=110)
    pyplot.close(figure)


Draw = Callable[[Report, Path], list[Path]]
"""Draws a report into a folder and gives the files that it wrote."""


def bars(report: Report, folder: Path) -> list[Path]:
    """Throughput and latency of every row: `SCENARIO.png`; nothing where there are no rows."""
    if not report.rows:
        return []
    target = folder / f"{report.scenario}.png"
    plot(report, target)
    return [target]


def save(report: Report, folder: Path, draw: Draw = bars) -> list[Path]:
    """Writes `SCENARIO.json` and what `draw` draws; gives what it wrote."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        **asdict(report),
        "goals": [{**asdict(goal), "met": goal.met} for goal in report.goals],
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
    }
    target = folder / f"{report.scenario}.json"
    text = json.dumps(_without_nan(content), indent=1, ensure_ascii=False, allow_nan=False)
    target.write_text(text + "\n", encoding="utf-8")
    return [target, *draw(report, folder)]


def _row(rounds: Sequence[Measurement], own: float) -> Row:
    rate = _median(rounds, "requests_per_s")
    first = rounds[0]
    return Row(
        name=first.name,
        family=first.family,
        connections=first.connections,
        rounds=len(rounds),
        requests_per_s=rate,
        p50_ms=_median(rounds, "p50_ms"),
        p99_ms=_median(rounds, "p99_ms"),
        errors=sum(each.errors for each in rounds),
        ratio=rate / own if own else math.nan,
        refused=sum(each.refused for each in rounds),
    )


def _median(rounds: Sequence[Measurement], name: str) -> float:
    return float(statistics.median(getattr(each, name) for each in rounds))


def _table(rows: Sequence[Row]) -> str:
    """The column of refusals stands only where there were any."""
    head = ["", "connections", "requests/s", "p50 ms", "p99 ms", "errors", "to this application"]
    cells = [
        [
            row.name,
            str(row.connections or "-"),
            _figure(row.requests_per_s),
            _figure(row.p50_ms),
            _figure(row.p99_ms),
            str(row.errors),
            _figure(row.ratio),
        ]
        for row in rows
    ]
    if any(row.refused for row in rows):
        head.append("refused")
        for line, row in zip(cells, rows, strict=True):
            line.append(str(row.refused))
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _connections(count: int) -> str:
    return f"{count} connection{'s' * (count > 1)}" if count else "a loop, no server"


def _goal(goal: Goal) -> str:
    bound = "at least" if goal.at_least else "at most"
    verdict = "met" if goal.met else "missed"
    return f"- {goal.text}: {_figure(goal.measured)} ({bound} {goal.wanted:g}: {verdict})"


def _figure(value: float) -> str:
    """Three digits, or a dash where nothing was measured."""
    if math.isnan(value):
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(each) for each in value]
    return value
