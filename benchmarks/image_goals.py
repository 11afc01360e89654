"""What the application is to reach with pictures."""

import math
from collections.abc import Sequence

from benchmarks import report
from benchmarks.image_loops import BARE
from benchmarks.report import APPLICATION, Goal, Row


def goals(rows: Sequence[Row], lone_ratio: float) -> tuple[Goal, ...]:
    """`lone_ratio`: p50 of a lone request to the bare model's time for one picture and decoding.

    Throughputs are compared at their best over the numbers of connections.
    """
    own = best_rate(rows, APPLICATION)
    bare = max((row.requests_per_s for row in rows if row.name == BARE), default=math.nan)
    example = best_rate(rows, "LitServe")
    return (
        Goal("throughput, x the bare model at its best", 0.9, own / bare, True),
        Goal("throughput, x LitServe's example", 2.0, own / example, True),
        Goal("p50 at 1 connection, x bare forward and decoding", 1.15, lone_ratio, False),
    )


def best_rate(rows: Sequence[Row], family: str) -> float:
    """Pictures a second of a family at its best; NaN where none was measured without errors."""
    found = (report.best(rows, family, count) for count in {row.connections for row in rows})
    return max((row.requests_per_s for row in found if row), default=math.nan)
