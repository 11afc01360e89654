"""What the scale benchmark found: tables, goals, JSON and a plot."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.report import Goal, Report
from benchmarks.scale import Size
from benchmarks.scale_serve import BATCH, WARM_UP, Memory
from benchmarks.scale_train import BANKING77_FAQS

MOST_P50_MS = {BANKING77_FAQS: 0.5, 10_000: 2.0, 100_000: 10.0, 1_000_000: 60.0}
MOST_MB = {10_000: 50.0, 100_000: 400.0, 1_000_000: 4_000.0}
MOST_BATCH_MS = {BANKING77_FAQS: 0.1}
MOST_LOAD_S = {BANKING77_FAQS: 1.0}
LEAST_RECALL = 0.999

_Cell = Callable[[Size], str]

_SPEED: Mapping[str, _Cell] = {
    "FAQs": lambda size: f"{size.trained.faqs:,}",
    "duplicates": lambda size: f"{size.trained.duplicates:,}",
    "training s": lambda size: f"{size.trained.train_s:,.1f}",
    "its peak MiB": lambda size: f"{size.trained.peak_mib:,.0f}",
    "on disk MB": lambda size: f"{size.trained.size_mb:,.1f}",
    "load s": lambda size: f"{size.served.load_s:.2f}",
    "p50 ms": lambda size: f"{size.served.p50_ms:.2f}",
    "p95 ms": lambda size: f"{size.served.p95_ms:.2f}",
    "p99 ms": lambda size: f"{size.served.p99_ms:.2f}",
    f"ms in {BATCH}s": lambda size: _optional(size.served.batch_ms),
    "recall@10": lambda size: f"{size.served.recall_at_10:.4f}",
    "accuracy@1": lambda size: f"{size.served.accuracy_at_1:.3f}",
}
_MEMORY: Mapping[str, _Cell] = {
    "FAQs": lambda size: f"{size.trained.faqs:,}",
    "load": lambda size: _growth(size.served.memory[0], size.served.memory[1]),
    "load and questions": lambda size: _growth(size.served.memory[0], size.served.memory[2]),
    "one process": lambda size: _total(size.alone),
    "two at once": lambda size: _total(*size.together),
}


def make_report(measured: Sequence[Size], failures: Sequence[str], command: str) -> Report:
    """The findings beside the figures to reach."""
    return Report(
        scenario="scale",
        command=command,
        goals=goals(measured),
        notes=_notes(measured),
        failures=tuple(failures),
        figures={"sizes": [asdict(size) for size in measured]},
    )


def goals(measured: Sequence[Size]) -> tuple[Goal, ...]:
    """What is to be reached at the sizes that were measured."""
    found = []
    for size in measured:
        served = size.served
        batch_ms = math.nan if served.batch_ms is None else served.batch_ms
        for name, limits, value in (
            ("p50 of one question, ms", MOST_P50_MS, served.p50_ms),
            (f"a question in batches of {BATCH}, ms", MOST_BATCH_MS, batch_ms),
            ("load, s", MOST_LOAD_S, served.load_s),
            ("on disk, MB", MOST_MB, size.trained.size_mb),
        ):
            if size.trained.faqs in limits:
                found.append(_goal(size, name, limits[size.trained.faqs], value))
        name = "recall of the ten best by exhaustive scoring"
        found.append(_goal(size, name, LEAST_RECALL, served.recall_at_10, at_least=True))
    return tuple(found)


def tables(measured: Sequence[Size]) -> str:
    """Speed and size, then memory: Markdown tables with a row for each size."""
    head = "Memory in MiB, each as resident / proportional / private / shared:"
    return f"{_table(_SPEED, measured)}\n\n{head}\n\n{_table(_MEMORY, measured)}"


def plot(measured: Sequence[Size], target: Path) -> None:
    """Latency and size over the number of FAQs, both axes logarithmic, with what is to be reached.

    The format is that of the ending of `target`.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    ordered = sorted(measured, key=lambda size: size.trained.faqs)
    counts = [size.trained.faqs for size in ordered]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    left.plot(counts, [size.served.p50_ms for size in ordered], "o-", label="p50")
    left.plot(counts, [size.served.p95_ms for size in ordered], "o--", label="p95")
    left.plot(counts, [size.served.p99_ms for size in ordered], "o:", label="p99")
    goal = {"marker": "v", "color": "grey"}
    left.scatter([*MOST_P50_MS], [*MOST_P50_MS.values()], label="goal of p50", **goal)
    left.set_title("one question on one core, ms")
    right.plot(counts, [size.trained.size_mb for size in ordered], "o-", label="on disk")
    right.scatter([*MOST_MB], [*MOST_MB.values()], label="goal", **goal)
    right.set_title("model, MB")
    for axes in (left, right):
        axes.set(xlabel="FAQs", xscale="log", yscale="log")
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
    figure.savefig(target, dpi=110)
    pyplot.close(figure)


def _notes(measured: Sequence[Size]) -> tuple[str, ...]:
    corpora = [
        f"{size.trained.faqs:,} FAQs: {size.trained.source}, "
        f"{size.trained.duplicates:,} duplicates to train on, "
        f"{size.served.questions:,} held-out questions timed after {WARM_UP} others, "
        f"{size.served.compared} compared with exhaustive scoring "
        f"({size.served.undecided:.0%} of them undecided: their tenth best has probability 0)"
        for size in measured
    ]
    analysis = [
        f"{size.trained.faqs:,} FAQs: scikit-learn's own TfidfVectorizers alone take "
        f"{size.trained.analysis_p50_ms:.2f} ms (p50) for one question"
        for size in measured
        if size.trained.analysis_p50_ms is not None
    ]
    return (
        *corpora,
        *analysis,
        "synthetic questions are drawn as benchmarks/synthetic.py states",
        "one process on one core; load is that of files in the page cache, without imports",
        "training's peak is all resident memory of its process, the corpus included",
        "memory is that of /proc/PID/smaps_rollup: the growth by load and questions, then all of "
        "one process, and the sums of two which map the same files; a page of a file that one "
        "process alone maps is private",
    )


def _goal(size: Size, name: str, wanted: float, value: float, *, at_least: bool = False) -> Goal:
    return Goal(f"{size.trained.faqs:,} FAQs: {name}", wanted, value, at_least)


def _table(columns: Mapping[str, _Cell], measured: Sequence[Size]) -> str:
    lines = [[*columns], ["---:"] * len(columns)]
    lines += [[cell(size) for cell in columns.values()] for size in measured]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _growth(before: Memory, after: Memory) -> str:
    pairs = zip(_parts(before), _parts(after), strict=True)
    return " / ".join(f"{end - start:+,.0f}" for start, end in pairs)


def _total(*processes: Memory) -> str:
    columns = zip(*map(_parts, processes), strict=True)
    return " / ".join(f"{sum(column):,.0f}" for column in columns)


def _parts(memory: Memory) -> tuple[float, float, float, float]:
    return memory.rss, memory.pss, memory.private, memory.shared


def _optional(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
