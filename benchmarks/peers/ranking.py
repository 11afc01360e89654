"""What every peer shares: the saved ranker and its answer as JSON.

msgspec writes the ranker's structs as they are, the fastest way to JSON that Python has, so
that what differs between the peers is the serving.
"""

import os
from pathlib import Path

import msgspec

from deployments.faq.ranker import FaqRanker, Ranking

TOP_K = 10


def load_ranker() -> FaqRanker:
    """The ranker that the benchmark saved."""
    return FaqRanker.load(Path(os.environ["BENCHMARK_MODEL"]))


def encode(ranking: Ranking) -> bytes:
    """`{"matches": [...], "matched": bool}`."""
    return msgspec.json.encode(ranking)
