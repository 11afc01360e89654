"""Plots of the picture benchmarks: by connections, by the sizes of batches, and of the ramp."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.ramp import SETTLED_S
from benchmarks.report import APPLICATION, Measurement, Report
from benchmarks.rounds import BATCH_SIZES

DPI = 110


def draw_images(report: Report, folder: Path) -> list[Path]:
    """`images.png`: throughput and latency by connections; `images_batches.png`: batch sizes."""
    if not report.rows:
        return []
    targets = [folder / "images.png", folder / "images_batches.png"]
    _draw_connections(report, targets[0])
    counted = [each for each in report.measurements if each.detail.get(BATCH_SIZES)]
    if not counted:
        return targets[:1]
    _draw_batches(counted, targets[1])
    return targets


def draw_ramp(report: Report, folder: Path) -> list[Path]:
    """`images_ramp.png`: what was accepted and refused, how fast, and the memory."""
    steps = report.figures.get("steps", [])
    if not steps:
        return []
    figure, panels = _subplots(1, 3)
    rates, latencies, memory = panels[0]
    offered = [step["offered_per_s"] for step in steps]
    rates.plot(offered, offered, ":", color="grey", label="offered")
    rates.plot(offered, [step["accepted_per_s"] for step in steps], "o-", label="accepted")
    refused = [step["offered_per_s"] * step["refused_share"] for step in steps]
    rates.plot(offered, refused, "o--", label="refused (429)")
    rates.set(xlabel="offered, requests/s", ylabel="requests/s", title="answers")
    latencies.plot(offered, [step["p50_ms"] for step in steps], "o-", label="accepted, p50")
    latencies.plot(offered, [step["p99_ms"] for step in steps], "o-", label="accepted, p99")
    latencies.plot(offered, [step["refused_p99_ms"] for step in steps], "o--", label="429, p99")
    latencies.axhline(50, color="grey", linestyle=":", label="50 ms")
    latencies.set(xlabel="offered, requests/s", ylabel="ms", yscale="log", title="latency")
    memory.plot([step["at_s"] for step in steps], [step["memory_mib"] for step in steps], "o-")
    memory.axvline(SETTLED_S, color="grey", linestyle=":", label="settled")
    memory.set(xlabel="seconds", ylabel="MiB", title="memory of all processes (PSS)")
    memory.set_ylim(bottom=0)
    for panel in panels[0]:
        panel.legend()
    target = folder / "images_ramp.png"
    _save(figure, target)
    return [target]


def _draw_connections(report: Report, target: Path) -> None:
    figure, panels = _subplots(1, 2)
    rate, latency = panels[0]
    names = dict.fromkeys(row.name for row in report.rows)
    for name in names:
        rows = sorted(
            (row for row in report.rows if row.name == name), key=lambda row: row.connections
        )
        if rows[0].connections == 0:
            rate.axhline(rows[0].requests_per_s, linestyle=":", color="grey")
            rate.annotate(name, (1, rows[0].requests_per_s), fontsize="x-small", va="bottom")
            continue
        counts = [row.connections for row in rows]
        width = 2.5 if rows[0].family == APPLICATION else 1.2
        (line,) = rate.plot(
            counts, [row.requests_per_s for row in rows], "o-", label=name, linewidth=width
        )
        colour = line.get_color()
        latency.plot(counts, [row.p50_ms for row in rows], "o-", color=colour, label=f"{name}, p50")
        latency.plot(counts, [row.p99_ms for row in rows], "o:", color=colour, label="p99")
    rate.set(xscale="log", xlabel="connections", ylabel="images/s", title="throughput")
    latency.set(xscale="log", yscale="log", xlabel="connections", ylabel="ms", title="latency")
    rate.set_ylim(bottom=0)
    for panel in panels[0]:
        if panel.get_legend_handles_labels()[0]:
            panel.legend(fontsize="x-small")
    _save(figure, target)


def _draw_batches(measurements: Sequence[Measurement], target: Path) -> None:
    """A panel for each number of connections: what share of the batches had which size."""
    names = list(dict.fromkeys(each.name for each in measurements))
    connections = sorted({each.connections for each in measurements})
    figure, panels = _subplots(1, len(connections))
    for panel, count in zip(panels[0], connections, strict=True):
        counted = {name: _sizes(measurements, name, count) for name in names}
        sizes = sorted({size for each in counted.values() for size in each}, key=_order)
        width = 0.8 / len(names)
        for place, (name, batches) in enumerate(counted.items()):
            total = batches.total() or 1
            positions = [
                index + (place - (len(names) - 1) / 2) * width for index in range(len(sizes))
            ]
            panel.bar(positions, [batches[size] / total for size in sizes], width, label=name)
        panel.set_xticks(range(len(sizes)), sizes)
        panel.set(xlabel="pictures in a batch, at most", title=f"{count} connections")
    panels[0][0].set_ylabel("share of batches")
    panels[0][0].legend(fontsize="x-small")
    _save(figure, target)


def _sizes(measurements: Sequence[Measurement], name: str, connections: int) -> Counter[str]:
    """Batches by size over all rounds."""
    found: Counter[str] = Counter()
    for each in measurements:
        if (each.name, each.connections) == (name, connections):
            found.update(each.detail.get(BATCH_SIZES, {}))
    return found


def _order(size: str) -> float:
    return float("inf") if size == "more" else float(size)


def _subplots(rows: int, columns: int) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot.subplots(
        rows, columns, figsize=(5.5 * columns, 4.5 * rows), squeeze=False, layout="constrained"
    )


def _save(figure: Any, target: Path) -> None:
    from matplotlib import pyplot

    figure.savefig(target, dpi=DPI)
    pyplot.close(figure)
