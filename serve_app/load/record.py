"""What came of each request, in 19 bytes, and the figures of it."""

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from serve_app.load.traffic import REFUSED, Exchange, Step

ANSWERED, REFUSAL, ERROR = 0, 1, 2
MOST_FAILURES = 1000
"""That are kept one by one; all are counted."""
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0, "p99.9": 99.9, "max": 100.0}


@dataclass(frozen=True)
class Figures:
    """Of one step, or of all: `latency_ms` by percentile, of what was answered with 200.

    429s are `refused`, everything else that is no 200 is an error. `latency_ms` is None where
    nothing was answered. Shares are of all requests.
    """

    load: float | None
    seconds: float
    sent: int
    answered: int
    refused: int
    errors: int
    rate_per_s: float
    latency_ms: dict[str, float] | None

    @property
    def error_share(self) -> float:
        """Errors of all requests, 0 to 1."""
        return self.errors / max(1, self.sent)

    @property
    def refused_share(self) -> float:
        """Refusals of all requests, 0 to 1."""
        return self.refused / max(1, self.sent)


@dataclass(frozen=True)
class Failure:
    """One error: when it ended (`time.perf_counter`), and its kind."""

    at_s: float
    kind: str


@dataclass(frozen=True)
class Rows:
    """The requests as columns of equal length: when each ended (seconds from the start), and so."""

    step: npt.NDArray[np.uint16]
    outcome: npt.NDArray[np.uint8]
    ended_s: npt.NDArray[np.float64]
    latency_s: npt.NDArray[np.float64]


class Record:
    """Filled by a loop as it runs; the first `warm_up_steps` steps are left out."""

    def __init__(self, steps: Sequence[Step], warm_up_steps: int = 0) -> None:
        self.steps = steps[warm_up_steps:]
        self._skipped = warm_up_steps
        self._marks: list[float] = []
        self._step = array("H")
        self._outcome = array("B")
        self._ended_s = array("d")
        self._latency_s = array("d")
        self.kinds: Counter[str] = Counter()
        """Errors by their kind."""
        self.failures: list[Failure] = []
        """The first errors, in the order in which they happened."""
        self.retries = 0
        """Attempts to connect that were made again."""
        self.counts = [0, 0, 0]
        """Answered, refused and failed so far."""

    def begin(self, number: int, at_s: float) -> None:
        """A step began, or the last was over."""
        if number >= self._skipped:
            self._marks.append(at_s)

    def note(self, exchange: Exchange, body: bytes) -> None:
        """One request has ended."""
        if exchange.step < self._skipped:
            return
        outcome = self._judge(exchange, body)
        self._step.append(exchange.step - self._skipped)
        self._outcome.append(outcome)
        self._ended_s.append(exchange.due_s + exchange.latency_s)
        self._latency_s.append(exchange.latency_s)
        self.counts[outcome] += 1
        self.retries += exchange.retries

    def rows(self) -> Rows:
        """All so far."""
        started = self._marks[0] if self._marks else 0.0
        return Rows(
            np.array(self._step),
            np.array(self._outcome),
            np.array(self._ended_s) - started,
            np.array(self._latency_s),
        )

    def latest_ms(self, count: int = 1000) -> float:
        """The p99 of the last requests, in milliseconds; NaN where there is none."""
        latest = self._latency_s[-count:]
        return float(np.percentile(latest, 99)) * 1000 if latest else float("nan")

    def total(self) -> Figures:
        """The figures of all steps together."""
        rows = self.rows()
        load = self.steps[0].load if len(self.steps) == 1 else None
        return _figures(
            load, self._seconds(0, len(self._marks) - 1), rows, np.ones(len(rows.step), bool)
        )

    def by_step(self) -> list[Figures]:
        """The figures of each step that was begun."""
        rows = self.rows()
        return [
            _figures(step.load, self._seconds(number, number + 1), rows, rows.step == number)
            for number, step in enumerate(self.steps[: max(0, len(self._marks) - 1)])
        ]

    def _seconds(self, first: int, last: int) -> float:
        return self._marks[last] - self._marks[first] if last > first else 0.0

    def _judge(self, exchange: Exchange, body: bytes) -> int:
        if exchange.fault is None and exchange.status == 200 and body:
            return ANSWERED
        if exchange.fault is None and exchange.status == REFUSED:
            return REFUSAL
        named = "empty body" if exchange.status == 200 else f"status {exchange.status}"
        kind = exchange.fault or named
        self.kinds[kind] += 1
        if len(self.failures) < MOST_FAILURES:
            self.failures.append(Failure(exchange.due_s + exchange.latency_s, kind))
        return ERROR


def _figures(
    load: float | None, seconds: float, rows: Rows, chosen: npt.NDArray[np.bool_]
) -> Figures:
    outcome: npt.NDArray[np.uint8] = rows.outcome[chosen]
    latency: npt.NDArray[np.float64] = rows.latency_s[chosen]
    answered, refused, errors = (
        int(count) for count in np.bincount(outcome.astype(np.intp), minlength=3)
    )
    return Figures(
        load=load,
        seconds=seconds,
        sent=len(outcome),
        answered=answered,
        refused=refused,
        errors=errors,
        rate_per_s=answered / seconds if seconds else 0.0,
        latency_ms=percentiles_ms(latency[outcome == ANSWERED]),
    )


def percentiles_ms(latency_s: npt.NDArray[np.float64]) -> dict[str, float] | None:
    """By name, in milliseconds; None of nothing."""
    if not len(latency_s):
        return None
    found = np.percentile(latency_s, list(PERCENTILES.values())) * 1000
    return {name: float(value) for name, value in zip(PERCENTILES, found, strict=True)}
