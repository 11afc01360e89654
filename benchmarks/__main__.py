"""`python -m benchmarks`: measures side by side, prints tables, writes JSON and plots."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import (
    cost,
    faq,
    footprint,
    image_plots,
    images,
    processes,
    quality,
    ramp,
    report,
    scale,
    scale_report,
    startup,
)
from benchmarks.environments import BENCHMARKS, WORK
from benchmarks.report import Report
from benchmarks.rounds import Options

SCENARIOS: dict[str, Callable[[Options, str], Report]] = {
    "faq": faq.run,
    "images": images.run,
    "ramp": ramp.run,
    "cost": cost.run,
    "start": startup.run,
    "memory": footprint.run,
    "quality": quality.run,
}
DRAW: dict[str, report.Draw] = {"images": image_plots.draw_images, "ramp": image_plots.draw_ramp}
"""The scenarios that have plots of their own."""
PICTURES = ("images", "ramp")
SCALE = "scale"
"""Measures no server, but the ranker by the number of its FAQs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where everything was measured and answered without errors; missed goals are no failure."""
    given = _parser().parse_args(arguments)
    options = Options(
        given.seconds,
        given.connections,
        given.rounds,
        tuple(given.only),
        given.architecture,
        given.picture_connections,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"load average: {os.getloadavg()[0]:.2f} (a quiet machine is near 0)", flush=True)
    names = [*SCENARIOS, SCALE] if given.scenario == "all" else [given.scenario]
    with processes.adopting_orphans():
        reports = [
            _run_scale(given.sizes, given.out) if name == SCALE else _run(name, options, given.out)
            for name in names
        ]
    return int(any(each.failures or any(row.errors for row in each.rows) for each in reports))


def _run(name: str, options: Options, folder: Path) -> Report:
    found = SCENARIOS[name](options, _command(name, options))
    written = report.save(found, folder, DRAW.get(name, report.bars))
    print(f"\n{report.render(found)}\n\nwrote {', '.join(map(str, written))}\n", flush=True)
    return found


def _run_scale(sizes: Sequence[int], folder: Path) -> Report:
    measured, failures = scale.measure(sizes, WORK)
    command = f"python -m benchmarks scale --sizes {','.join(map(str, sizes))}"
    found = scale_report.make_report(measured, failures, command)
    written = report.save(found, folder)
    parts = [report.render(found)]
    if measured:
        parts.append(scale_report.tables(measured))
        written.append(folder / "scale.png")
        scale_report.plot(measured, written[-1])
    print("", *parts, f"wrote {', '.join(map(str, written))}\n", sep="\n\n", flush=True)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("scenario", nargs="?", default="all", choices=[*SCENARIOS, SCALE, "all"])
    parser.add_argument("--seconds", type=float, default=10.0, help="measured time of each run")
    parser.add_argument(
        "--connections", type=int, default=16, help="of questions, and to find ramp's capacity"
    )
    parser.add_argument(
        "--picture-connections",
        type=_counts,
        default=Options.picture_connections,
        metavar="COUNT,...",
        help="numbers of connections that images measures",
    )
    parser.add_argument(
        "--architecture", default=Options.architecture, help="of images and ramp (torchvision)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="times that every server is measured")
    parser.add_argument("--out", type=Path, default=BENCHMARKS / "results")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="servers whose name contains a NAME"
    )
    parser.add_argument(
        "--sizes",
        type=scale.parse_sizes,
        default=scale.SIZES,
        metavar="FAQS,...",
        help="numbers of FAQs that scale measures; 77 is Banking77 where it is found",
    )
    return parser


def _counts(text: str) -> tuple[int, ...]:
    counts = tuple(int(word) for word in text.split(","))
    if min(counts) < 1:
        raise argparse.ArgumentTypeError("a number of connections is at least 1")
    return counts


def _command(scenario: str, options: Options) -> str:
    words = ["python -m benchmarks", scenario, f"--seconds {options.seconds:g}"]
    if scenario == "images":
        counts = ",".join(map(str, options.picture_connections))
        words.append(f"--picture-connections {counts}")
    else:
        words.append(f"--connections {options.connections}")
    words.append(f"--rounds {options.rounds}")
    if scenario in PICTURES and options.architecture != Options.architecture:
        words.append(f"--architecture {options.architecture}")
    if options.only:
        words.append("--only " + " ".join(f'"{name}"' for name in options.only))
    return " ".join(words)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted; everything that was started is stopped")
