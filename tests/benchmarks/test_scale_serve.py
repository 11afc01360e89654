"""The recall of ranking against exhaustive scoring, and the memory of a process."""

import mmap
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.scale_serve import (
    TOP_K,
    HeldOut,
    memory,
    read_questions,
    recall_at_10,
    write_questions,
)
from deployments.faq.corpus import Faq
from deployments.faq.ranker import Match, Ranking


class FakeRanker:
    """Knows the probabilities of every question, and ranks the FAQs that it is told to."""

    def __init__(
        self, probabilities: Mapping[str, Sequence[float]], ranked: Mapping[str, Sequence[int]]
    ) -> None:
        count = len(next(iter(probabilities.values())))
        self.faqs = [Faq(f"Q{n}", f"A{n}", f"question {n}", None) for n in range(count)]
        self._probabilities = probabilities
        self._ranked = ranked

    def rank(self, question: str, top_k: int) -> Ranking:
        numbers = self._ranked[question][:top_k]
        matches = (Match(f"Q{n}", f"A{n}", f"question {n}", None, 0.5) for n in numbers)
        return Ranking(tuple(matches), matched=True)

    def probabilities(self, questions: Sequence[str]) -> NDArray[np.float32]:
        return np.array([self._probabilities[each] for each in questions], np.float32)


FALLING = [1 - n / 100 for n in range(20)]


@pytest.mark.parametrize(
    ("probabilities", "ranked", "recall"),
    [
        (FALLING, range(10), 1.0),
        (FALLING, range(9, -1, -1), 1.0),
        (FALLING, [*range(8), 18, 19], 0.8),
        (FALLING, range(10, 20), 0.0),
        (FALLING, range(7), 0.7),
        # Ties at the tenth place: any of them will do.
        ([0.9] * 9 + [0.5] * 11, [*range(9), 19], 1.0),
        ([0.9] * 8 + [0.5] * 12, [*range(8), 15, 19], 1.0),
        # But for one above the tenth, no other will.
        ([0.9] * 9 + [0.5] * 11, range(10, 20), 1.0),
        (FALLING[:4], range(4), 1.0),
        (FALLING[:4], [0, 1, 2], 0.75),
    ],
)
def test_recall_is_the_share_of_the_ten_best(
    probabilities: Sequence[float], ranked: Sequence[int], recall: float
) -> None:
    ranker = FakeRanker({"q": probabilities}, {"q": ranked})
    assert recall_at_10(ranker, ["q"]) == (recall, 0.0)


def test_recall_is_a_mean_and_questions_without_ten_candidates_are_counted() -> None:
    ranker = FakeRanker(
        {"a": FALLING, "b": FALLING, "c": [0.9, 0.8] + [0.0] * 18, "d": FALLING},
        {"a": range(TOP_K), "b": range(5, 15), "c": range(TOP_K), "d": range(TOP_K)},
    )
    assert recall_at_10(ranker, ["a", "b", "c", "d"]) == (3.5 / 4, 0.25)


def test_memory_is_private_or_shared() -> None:
    before = memory(os.getpid())
    assert before.private + before.shared == pytest.approx(before.rss, abs=1)
    assert 0 < before.pss <= before.rss
    # Not from the allocator, which may have as much left from what was freed before.
    size = 16 << 20
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as taken:
        taken.write(b"1" * size)
        after = memory(os.getpid())
    # The bytes that were written may stay with the allocator as well.
    assert 15 <= after.anonymous - before.anonymous <= 34


def test_memory_of_an_ended_process_is_an_error() -> None:
    with pytest.raises(OSError, match="No such"):
        memory(2**22 + 1)


def test_questions_are_read_as_they_were_written(tmp_path: Path) -> None:
    questions = [HeldOut("How?\tÄ\u2028 \U0001f600", "Q1"), HeldOut("Why?", "Q2")]
    write_questions(tmp_path, questions)
    assert read_questions(tmp_path) == questions
