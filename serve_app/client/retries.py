"""Which failures a call may meet by asking again, and when.

Asked again is where it is safe and wanted: after a refusal (429 or 503) that says `Retry-After`,
and where no connection was made, so that nothing was sent. A connection that broke after sending is
not: scoring has no side effects, so it would be safe, but the service may have scored and counted
the request already, and a service that breaks under its load would get that load twice. Whoever
wants it all the same sets `broken`.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from serve_app.client.errors import ScoringServiceError, TransportFailed, Unreachable

REFUSALS = frozenset({429, 503})


@dataclass(frozen=True)
class Retries:
    """The most times that one call asks again, for each reason, and the jitter of its waits.

    A wait is what `Retry-After` says (else 0) plus a random time up to `first_jitter_s`, doubled
    for each attempt, at most `longest_jitter_s` ("full jitter": callers that were refused together
    do not come back together).
    """

    refused: int = 4
    unreachable: int = 3
    broken: int = 0
    first_jitter_s: float = 0.1
    longest_jitter_s: float = 5.0

    def __post_init__(self) -> None:
        if min(self.refused, self.unreachable, self.broken) < 0:
            raise ValueError("a number of retries is 0 or more")
        if not 0 <= self.first_jitter_s <= self.longest_jitter_s:
            raise ValueError("jitter needs 0 <= first_jitter_s <= longest_jitter_s")


class Patience:
    """What is left of the retries of one call."""

    def __init__(self, retries: Retries, chance: Callable[[], float] = random.random) -> None:
        """`chance` gives numbers from 0 to 1."""
        self._retries = retries
        self._chance = chance
        self._used: Counter[str] = Counter()

    def wait_s(self, error: ScoringServiceError) -> float | None:
        """How long to wait before the same is asked again; None where that is not to be done."""
        reason, most = self._allowed(error)
        if self._used[reason] >= most:
            return None
        attempt = self._used.total()
        self._used[reason] += 1
        # The exponent is bounded: 2.0 ** 1024 overflows.
        jitter_s = self._retries.first_jitter_s * 2.0 ** min(attempt, 64)
        return (error.retry_after_s or 0.0) + self._chance() * min(
            jitter_s, self._retries.longest_jitter_s
        )

    def _allowed(self, error: ScoringServiceError) -> tuple[str, int]:
        if isinstance(error, Unreachable):
            return "unreachable", self._retries.unreachable
        if isinstance(error, TransportFailed):
            return "broken", self._retries.broken
        if error.status in REFUSALS and error.retry_after_s is not None:
            return "refused", self._retries.refused
        return "final", 0
