"""When the requests of an open loop are due."""

from collections.abc import Iterator, Sequence

import numpy as np

from serve_app.load.traffic import Step


def schedule(steps: Sequence[Step], seed: int) -> Iterator[tuple[int, float]]:
    """Step and moment (seconds from the start) of each arrival of the Poisson process."""
    random = np.random.default_rng(seed)
    started = 0.0
    for number, step in enumerate(steps):
        ends = started + step.duration_s
        moment = started + random.exponential(1 / step.load)
        while moment < ends:
            yield number, moment
            moment += random.exponential(1 / step.load)
        started = ends
