"""Keeps the buckets of all callers, and knows the Routers that spend from them."""

from collections.abc import Callable, Sequence

from serve_app.access.bucket import Bucket
from serve_app.access.leases import Answer, Grant, Report

GONE_S = 3.0
"""A Router that was not heard for so long is gone; what it held is free again."""


class Keeper:
    """The state of the quotas: one bucket for each caller and unit that is not idle."""

    def __init__(self, clock: Callable[[], float]):
        self._clock = clock
        self._started = self._swept = clock()
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._seen: dict[str, float] = {}

    @property
    def buckets(self) -> int:
        """Buckets in memory."""
        return len(self._buckets)

    def renew(self, router: str, reports: Sequence[Report]) -> Answer:
        """Charges what a Router used and divides anew, for all its callers at once."""
        now = self._clock()
        self._seen[router] = now
        if now - self._swept >= 1:
            self._sweep(now)
        grants = tuple(self._settle(router, report, now) for report in reports)
        return Answer(len(self._seen), grants)

    def _settle(self, router: str, report: Report, now: float) -> Grant:
        bucket = self._buckets.get(report.bucket)
        if bucket is None:
            bucket = self._buckets[report.bucket] = self._new(report, now)
        return bucket.settle(router, report, len(self._seen), now)

    def _new(self, report: Report, now: float) -> Bucket:
        """Nobody can have known it as less than full once the keeper is old enough to fill it.

        Unless a Router spent of it by itself meanwhile.
        """
        limit = report.limit
        young = (now - self._started) * limit.rate < limit.capacity
        return Bucket(limit, now, recovers=young or report.alone)

    def _sweep(self, now: float) -> None:
        """Forgets who is gone and what is idle."""
        self._swept = now
        gone = {router for router, seen in self._seen.items() if now - seen > GONE_S}
        for router in gone:
            del self._seen[router]
        for key, bucket in list(self._buckets.items()):
            for router in gone & bucket.shares.keys():
                del bucket.shares[router]
            bucket.fill(now)
            if bucket.is_idle:
                del self._buckets[key]
