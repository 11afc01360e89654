"""The scale benchmark's serving process: one core, and nothing of training is imported.

    serve FOLDER   loads the model, asks it questions; prints its findings as one line of JSON
    hold FOLDER    loads the model, asks it questions, prints `ready`, stays until its input ends

FOLDER holds what `benchmarks.scale_train` left there.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.processes import PROC
from deployments.faq.corpus import Faq
from deployments.faq.ranker import FaqRanker, Ranking

TOP_K = 10
WARM_UP = 100
COMPARED = 500
BATCH = 64
LARGEST_BATCHED = 10_000
ROUNDING = 1e-6
"""Relative difference of probabilities that float32 sums in another order may have."""

# 32 MiB as float32; scoring holds a few times as much.
_MOST_PROBABILITIES = 1 << 23


class Ranker(Protocol):
    """What is needed of `FaqRanker` to compare its two ways of scoring."""

    @property
    def faqs(self) -> Sequence[Faq]:
        """See `FaqRanker`."""

    def rank(self, question: str, top_k: int) -> Ranking:
        """See `FaqRanker.rank`."""

    def probabilities(self, questions: Sequence[str]) -> NDArray[np.float32]:
        """See `FaqRanker.probabilities`."""


@dataclass(frozen=True)
class HeldOut:
    """A held-out question and the Id of the FAQ it is a duplicate of."""

    text: str
    id: str


@dataclass(frozen=True)
class Memory:
    """What `/proc/PID/smaps_rollup` says of a process, in MiB (proc(5)).

    `private` pages are in no other process, be they allocated or of a file. `pss` counts a page
    that n processes share as 1/n. `anonymous` is what was allocated; the rest of `rss` is files.
    """

    rss: float
    pss: float
    private: float
    shared: float
    anonymous: float


@dataclass(frozen=True)
class Served:
    """What one process found; memory is that before the load, after it, and after the questions.

    `questions` were timed; `accuracy_at_1` is over those and the warm-up.
    `batch_ms` is a question's part of a batch of 64. `recall_at_10` is the share of the ten best by
    exhaustive scoring that `rank` gives, over `compared` questions; for the share `undecided` of
    them the tenth best has probability 0, and any ten would have done.
    """

    load_s: float
    questions: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    batch_ms: float | None
    accuracy_at_1: float
    compared: int
    recall_at_10: float
    undecided: float
    memory: tuple[Memory, Memory, Memory]


def serve(folder: Path) -> Served:
    """Times the load and the questions, then compares the answers with exhaustive scoring.

    The first WARM_UP questions are not timed. The files are in the page cache, as they were just
    written.
    """
    questions = read_questions(folder)
    texts = [each.text for each in questions[WARM_UP:]]
    before = memory(os.getpid())
    began = time.perf_counter()
    ranker = FaqRanker.load(folder / "model")
    load_s = time.perf_counter() - began
    loaded = memory(os.getpid())
    best = [_best(ranker, each.text) for each in questions[:WARM_UP]]
    times = times_ms(texts, lambda text: best.append(_best(ranker, text)))
    after = memory(os.getpid())
    batch_ms = _batch_ms(folder, questions) if len(ranker.faqs) <= LARGEST_BATCHED else None
    right = [found == each.id for found, each in zip(best, questions, strict=True)]
    recall, undecided = recall_at_10(ranker, texts[:COMPARED])
    p50, p95, p99 = np.percentile(times, [50, 95, 99]).tolist()
    return Served(
        load_s=load_s,
        questions=len(texts),
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        batch_ms=batch_ms,
        accuracy_at_1=float(np.mean(right)),
        compared=len(texts[:COMPARED]),
        recall_at_10=recall,
        undecided=undecided,
        memory=(before, loaded, after),
    )


def hold(folder: Path) -> None:
    """Loads the model and asks it questions, says `ready`, and stays until the input ends."""
    ranker = FaqRanker.load(folder / "model")
    for question in read_questions(folder)[: WARM_UP + COMPARED]:
        ranker.rank(question.text, TOP_K)
    print("ready", flush=True)
    sys.stdin.read()


def recall_at_10(ranker: Ranker, questions: Sequence[str]) -> tuple[float, float]:
    """The mean share of each question's ten best by `probabilities` that `rank` gives too.

    An FAQ as probable as the tenth counts as one of them. Second, the share of the questions whose
    tenth has probability 0, for which that says nothing.
    """
    index = {faq.id: number for number, faq in enumerate(ranker.faqs)}
    wanted = min(TOP_K, len(index))
    shares: list[float] = []
    undecided = 0
    rows = max(1, _MOST_PROBABILITIES // len(index))
    with tqdm(total=len(questions), desc="Scoring exhaustively", unit="question") as bar:
        for first in range(0, len(questions), rows):
            block = questions[first : first + rows]
            exhaustive = ranker.probabilities(block)
            tenth = np.partition(exhaustive, -wanted, axis=1)[:, -wanted]
            for row, question in enumerate(block):
                matches = ranker.rank(question, TOP_K).matches
                found = exhaustive[row, [index[match.id] for match in matches]]
                shares.append(np.count_nonzero(found >= tenth[row] * (1 - ROUNDING)) / wanted)
            undecided += int(np.count_nonzero(tenth == 0))
            bar.update(len(block))
    return float(np.mean(shares)), undecided / len(questions)


def memory(pid: int) -> Memory:
    """What a process takes now; raises OSError where it has ended."""
    lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]
    mib = {name: int(size.split()[0]) / 1024 for name, size in (line.split(":") for line in lines)}
    return Memory(
        rss=mib["Rss"],
        pss=mib["Pss"],
        private=mib["Private_Clean"] + mib["Private_Dirty"],
        shared=mib["Shared_Clean"] + mib["Shared_Dirty"],
        anonymous=mib["Anonymous"],
    )


def write_questions(folder: Path, questions: Sequence[HeldOut]) -> None:
    """Leaves the held-out questions for `serve` and `hold`."""
    (folder / "questions.json").write_bytes(msgspec.json.encode(questions))


def read_questions(folder: Path) -> list[HeldOut]:
    """What `write_questions` wrote."""
    return msgspec.json.decode((folder / "questions.json").read_bytes(), type=list[HeldOut])


def stay_on_one_core() -> None:
    """This process and all its threads, those of numerical libraries included."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def times_ms(texts: Sequence[str], ask: Callable[[str], object]) -> list[float]:
    """How long each question takes."""
    times = []
    for text in tqdm(texts, desc="Asking", unit="question", mininterval=1):
        began = time.perf_counter()
        ask(text)
        times.append((time.perf_counter() - began) * 1000)
    return times


def _best(ranker: FaqRanker, question: str) -> str:
    return ranker.rank(question, TOP_K).matches[0].id


def _batch_ms(folder: Path, questions: Sequence[HeldOut]) -> float:
    """A question's part of the median full batch, warmed up as single questions are."""
    # Another ranker: the one that was asked these questions may remember their words.
    ranker = FaqRanker.load(folder / "model")
    texts = [each.text for each in questions]
    ranker.rank_many(texts[:WARM_UP], [TOP_K] * WARM_UP)
    times = []
    for first in range(WARM_UP, len(texts) - BATCH + 1, BATCH):
        batch = texts[first : first + BATCH]
        began = time.perf_counter()
        ranker.rank_many(batch, [TOP_K] * BATCH)
        times.append((time.perf_counter() - began) * 1000 / BATCH)
    return float(np.median(times))


def main() -> None:
    """Serves or holds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve", "hold"])
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    stay_on_one_core()
    if given.command == "serve":
        print(msgspec.json.encode(serve(given.folder)).decode())
    else:
        hold(given.folder)


if __name__ == "__main__":
    main()
