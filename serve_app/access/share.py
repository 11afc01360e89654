"""What one Router may spend of one caller's bucket."""

import math

from serve_app.access.leases import Grant, Limit, Report

GRACE_S = 0.2
"""Time without an answer after which a Router fills its share by itself, from the answer on."""


class Share:
    """A Router's part of a bucket.

    Until it has heard of the caller from the keeper, and again when it hears no more, the Router
    takes its weight in the quota: it fills that part of the bucket at that part of the rate.
    """

    __slots__ = (
        "_alone_from",
        "_at",
        "_filled",
        "_level_seen",
        "_seen_at",
        "_short",
        "_used",
        "_wanted",
        "asked_at",
        "is_active",
        "level",
        "limit",
        "weight",
    )

    def __init__(self, limit: Limit, weight: float, now: float):
        self.limit = limit
        self.weight = weight
        self.level = self.capacity
        self.is_active = False
        self.asked_at = now
        self._at = self._alone_from = now
        self._used = self._wanted = self._short = 0
        self._filled = 0.0
        self._level_seen, self._seen_at = 0.0, now

    @property
    def capacity(self) -> float:
        """Tokens that it fills up to by itself; one at least, so that a request can come in."""
        return max(1.0, self.limit.capacity * self.weight)

    def take(self, tokens: int, now: float) -> bool:
        """Spends tokens, if there are so many.

        A full share gives any number and is in debt then, since otherwise a request larger than
        the burst could never come in.
        """
        self.asked_at = now
        self._wanted += tokens
        if now > self._alone_from:
            self._fill(now)
        if self.level < tokens and self.level < self.capacity:
            self._short = max(self._short, tokens)
            return False
        self.level -= tokens
        self._used += tokens
        return True

    def wait_s(self, tokens: int, now: float) -> float:
        """Seconds until so many tokens could be there, if nobody else takes them."""
        if now > self._alone_from:
            missing = min(tokens, self.capacity) - self.level
            return max(0.0, missing / (self.limit.rate * self.weight))
        missing = min(tokens, self.limit.capacity) - self._level_seen
        return max(0.0, missing / self.limit.rate - (now - self._seen_at))

    def report(self, bucket: tuple[str, str], now: float, *, alone: bool, leaves: bool) -> Report:
        """What was done since the last one; it counts as told, whether an answer comes or not."""
        if now > self._alone_from:
            self._fill(now)
        told = Report(
            bucket=bucket,
            limit=self.limit,
            held=self.level,
            due=self._made(now),
            used=self._used,
            wanted=self._wanted,
            short=self._short,
            alone=alone,
            leaves=leaves,
        )
        self._used = self._wanted = self._short = 0
        self._filled = 0.0
        return told

    def join(self, grant: Grant, now: float, *, alone: bool) -> None:
        """Takes what the keeper gave; what was spent since the report comes off it.

        With `alone`, the keeper was lost and did not count what this share brought itself since.
        """
        if alone:
            self._used = max(0, self._used - math.floor(self._filled))
        self.weight = grant.weight
        self.level = grant.held - self._used
        self._level_seen, self._seen_at = grant.level, now
        self._at = now
        self._alone_from = now + GRACE_S

    def leave(self, level: float, weight: float, now: float) -> None:
        """Goes on by itself, from its weight in what the bucket held last."""
        self.is_active = self._wanted > 0
        self.weight = weight
        self.level = min(self.capacity, level * weight) - self._used
        self._at = self._alone_from = now

    def is_full(self, now: float) -> bool:
        """Whether it may be forgotten: a new one would be the same."""
        if self.is_active:
            return False
        self._fill(now)
        return self.level >= self.capacity

    def _made(self, now: float) -> float:
        """What its part of the rate has brought since it was last filled or granted."""
        return self.limit.rate * self.weight * max(0.0, now - self._at)

    def _fill(self, now: float) -> None:
        before = self.level
        grown = before + self._made(now)
        self.level = max(before, min(self.capacity, grown))
        self._filled += self.level - before
        self._at = max(self._at, now)
