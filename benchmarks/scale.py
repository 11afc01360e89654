"""Speed and size by the number of FAQs: Banking77, then synthetic corpora of up to a million.

For each size a fresh process trains, another serves on one core, and then two serve at once, to see
what they share. Every process starts from nothing, so that its memory is its own.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.environments import ROOT
from benchmarks.scale_serve import Memory, Served, memory
from benchmarks.scale_train import BANKING77_FAQS, Trained

SIZES = (BANKING77_FAQS, 10_000, 100_000, 1_000_000)

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class ProcessFailed(RuntimeError):
    """A process of the benchmark ended without its findings; it has written why to stderr."""


@dataclass(frozen=True)
class Size:
    """All that was measured at one number of FAQs.

    `alone` is a serving process after its questions, and `together` are two of them at once.
    """

    trained: Trained
    served: Served
    alone: Memory
    together: tuple[Memory, Memory]


def parse_sizes(text: str) -> tuple[int, ...]:
    """Numbers of FAQs, with commas between them; raises argparse.ArgumentTypeError."""
    try:
        sizes = tuple(int(word) for word in text.split(","))
    except ValueError:
        sizes = (0,)
    if min(sizes) < 2:
        message = f"{text!r} is not a list of numbers of at least 2, as 77,10000 is"
        raise argparse.ArgumentTypeError(message)
    return sizes


def measure(sizes: Sequence[int], work: Path) -> tuple[list[Size], list[str]]:
    """What was measured, and what could not be, with the reason.

    The models lie in a folder in `work`, on whose disk a million FAQs take gigabytes, and are
    removed.
    """
    measured: list[Size] = []
    failures: list[str] = []
    work.mkdir(parents=True, exist_ok=True)
    for faqs in sizes:
        print(f"{faqs:,} FAQs", flush=True)
        with tempfile.TemporaryDirectory(prefix="scale-", dir=work) as folder:
            try:
                measured.append(_measure(faqs, Path(folder)))
            except ProcessFailed as error:
                failures.append(f"{faqs:,} FAQs: {error}")
    return measured, failures


def _measure(faqs: int, folder: Path) -> Size:
    trained = msgspec.json.decode(_run("scale_train", str(faqs), str(folder)), type=Trained)
    print(f"  trained in {trained.train_s:.1f} s, {trained.size_mb:,.1f} MB", flush=True)
    served = msgspec.json.decode(_run("scale_serve", "serve", str(folder)), type=Served)
    print(f"  p50 {served.p50_ms:.2f} ms, recall {served.recall_at_10:.4f}", flush=True)
    with _holding(folder) as first:
        alone = memory(first)
        with _holding(folder) as second:
            together = memory(first), memory(second)
    return Size(trained, served, alone, together)


def _run(module: str, *arguments: str) -> bytes:
    """The last line that a module prints."""
    done = subprocess.run(
        _command(module, *arguments),
        stdout=subprocess.PIPE,
        env=_environment(module),
        cwd=ROOT,
        check=False,
    )
    if done.returncode != 0:
        raise ProcessFailed(f"{module} ended with exit status {done.returncode}")
    return done.stdout.splitlines()[-1]


@contextlib.contextmanager
def _holding(folder: Path) -> Iterator[int]:
    """The id of a process that has loaded the model and answered questions."""
    with subprocess.Popen(
        _command("scale_serve", "hold", str(folder)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=_environment("scale_serve"),
        cwd=ROOT,
    ) as process:
        try:
            if process.stdout is None or process.stdout.readline() != b"ready\n":
                raise ProcessFailed("scale_serve hold did not get ready")
            yield process.pid
        finally:
            process.kill()


def _command(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.{module}", *arguments]


def _environment(module: str) -> dict[str, str]:
    return {**os.environ, **(_ONE_THREAD if module == "scale_serve" else {})}
