"""The true bucket of one caller and unit, with the shares of it that Routers hold."""

import math
from dataclasses import dataclass

from serve_app.access.leases import PERIOD_S, Grant, Limit, Report

MEMORY_S = 0.5
"""What was asked for so long ago still counts a third in a Router's demand."""


WAIT_S = 2 * PERIOD_S
"""A bucket fills beyond its brim for so long after a refusal, until what is spent is reported."""

STALE_S = 4 * PERIOD_S
"""Nothing is kept for a Router that was not heard for so long."""


@dataclass(slots=True)
class Share:
    """What one Router holds of a bucket, as far as the keeper knows."""

    weight: float
    at: float
    held: float = 0.0
    demand: float = 0.0
    """Tokens a second that were asked for, smoothed."""
    due: float = 0.0
    """Its part of what came back and was not given to it yet."""

    def note(self, report: Report, now: float) -> None:
        """Takes a report in."""
        elapsed = max(now - self.at, PERIOD_S)
        self.demand *= math.exp(-elapsed / MEMORY_S)
        self.demand += report.wanted / MEMORY_S
        self.held = report.held
        self.at = now


class Bucket:
    """A token bucket that is spent elsewhere.

    Every token is with one Router or with nobody, so the sum of what Routers spend is exact, but
    for what they spent before they were first answered; that becomes debt, which is paid before
    anybody gets more.
    """

    def __init__(self, limit: Limit, now: float, *, recovers: bool):
        """Full; or, where a lost keeper may have known it, made of what the Routers still hold."""
        self.limit = limit
        self.level = 0.0 if recovers else limit.capacity
        self.shares: dict[str, Share] = {}
        self._at = now
        self._refused_at = now - WAIT_S
        self._recovers_until = now + limit.capacity / limit.rate if recovers else now
        self._recovered: set[str] = set()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is lost if it is forgotten."""
        return not self.shares and self.level >= self.limit.capacity

    def fill(self, now: float) -> None:
        """Adds what came back since it was last called."""
        back = self.limit.rate * (now - self._at)
        brim = self.limit.capacity
        if now - self._refused_at < WAIT_S:
            brim += self.limit.rate * WAIT_S
        self.level = min(max(brim, self.level), self.level + back)
        self._at = now
        for share in self.shares.values():
            share.due = min(share.due + share.weight * back, brim)

    def settle(self, router: str, report: Report, routers: int, now: float) -> Grant:
        """Charges what a Router used and gives it a new share."""
        self.limit = report.limit
        self.fill(now)
        joins = router not in self.shares
        share = self.shares.setdefault(router, Share(1 / routers, now))
        share.note(report, now)
        if report.short:
            self._refused_at = now
        self._charge(router, report, now)
        if report.leaves:
            del self.shares[router]
            return Grant(0, 1 / routers, self.level)
        if not joins:
            share.weight = self._weight(share)
        share.held = self._keep(share) if joins else self._hold(share, report, now)
        share.due = max(0.0, share.due - max(0.0, share.held - report.held))
        return Grant(int(share.held), share.weight, self.level)

    def _charge(self, router: str, report: Report, now: float) -> None:
        if now < self._recovers_until and router not in self._recovered:
            self._recovered.add(router)
            self.level = min(self.limit.capacity, self.level + report.held + report.due)
        elif report.alone:
            # What came back in that time may not be counted here: no debt is made of it.
            self.level = max(min(self.level, 0.0), self.level - report.used)
        else:
            self.level -= report.used

    def _weight(self, share: Share) -> float:
        """Half by demand, half evenly: who asks for little can still take a sudden few."""
        total = sum(each.demand for each in self.shares.values())
        even = 1 / len(self.shares)
        return (share.demand / total + even) / 2 if total else even

    def _part(self, share: Share) -> int:
        return math.ceil(share.weight * max(0.0, self.level))

    def _keep(self, share: Share) -> int:
        """What a Router keeps of its own guess: others may hold everything at the moment."""
        return max(0, min(math.floor(share.held), self._part(share)))

    def _hold(self, share: Share, report: Report, now: float) -> int:
        """Tokens, whole ones, that a Router should have in hand."""
        others = [each for each in self.shares.values() if each is not share]
        free = self.level - sum(max(0.0, each.held) for each in others)
        part = self._part(share)
        if now - self._refused_at >= WAIT_S:
            share.due = 0.0
            return max(min(math.floor(free), part), self._keep(share))
        if not report.short:
            share.due = 0.0
        if not report.wanted:
            return 0
        due = [each.due for each in others if now - each.at < STALE_S]
        fair = free - sum(due)
        # A part that is too small for a request would lie idle: enough for it, or nothing.
        need = max(1, report.short)
        enough = min(need, self.limit.capacity)
        if fair < enough and (free < enough or share.due < max(due, default=0.0)):
            return 0 if report.short else max(0, math.floor(min(share.held, free)))
        return max(need, math.floor(min(free, max(share.due, min(fair, part)))))
