"""The Router's side of the quotas: spends its shares, without waiting for anybody."""

import asyncio
import time
from collections.abc import Callable

from serve_app.access.caller import Caller, Quota
from serve_app.access.leases import Answer, Limit, Report
from serve_app.access.rate_limit import quota_exceeded
from serve_app.access.share import Share
from serve_app.settings import QuotaSettings

LEAVE_S = 1.0
"""A share for which nobody asked for so long goes back to the keeper."""

REQUESTS, IMAGES = "requests", "images"

NONE = Quota()

Key = tuple[str, str]


class SharedQuotas:
    """Quotas that hold over all Routers together; one event loop, no Ray.

    A caller's own quota comes before the one of the settings, field by field: what its key leaves
    open, the settings limit.
    """

    def __init__(
        self,
        settings: QuotaSettings,
        routers: int,
        clock: Callable[[], float] = time.monotonic,
    ):
        """`routers` is a guess, until the keeper says how many there are."""
        self._settings = settings
        self._routers = routers
        self._clock = clock
        self._shares: dict[Key, Share] = {}
        self._active: dict[Key, Share] = {}
        self._sent: list[tuple[Key, Share, bool]] = []
        self._swept = clock()
        self._is_alone = False
        self.needed = asyncio.Event()
        """Set while there is something to tell the keeper."""
        self.is_used = settings.requests_per_s is not None or settings.images_per_s is not None
        """Whether any caller had a quota so far."""

    @property
    def shares(self) -> int:
        """Shares in memory."""
        return len(self._shares)

    def take(self, caller: Caller, *, requests: int = 0, images: int = 0) -> None:
        """Counts requests and pictures before they are queued.

        More pictures than a burst has are let in once the caller's quota is unused, and are paid
        off before anything else comes in. Requests stay counted where their pictures are refused.

        Raises:
            QuotaExceeded: the caller has none left.
        """
        own, default = caller.quota or NONE, self._settings
        if requests:
            rate = own.requests_per_s
            rate = default.requests_per_s if rate is None else rate
            self._take(caller.id, REQUESTS, rate, requests)
        if images:
            rate = own.images_per_s
            rate = default.images_per_s if rate is None else rate
            self._take(caller.id, IMAGES, rate, images)

    def _take(self, caller: str, unit: str, rate: float | None, tokens: int) -> None:
        if rate is None:
            return
        now = self._clock()
        key = (caller, unit)
        share = self._shares.get(key)
        if share is None:
            share = self._shares[key] = Share(self._limit(rate), 1 / self._routers, now)
        elif share.limit.rate != rate:
            share.limit = self._limit(rate)
        if not share.is_active:
            share.is_active = True
            self._active[key] = share
            self.is_used = True
            self.needed.set()
        if not share.take(tokens, now):
            raise quota_exceeded(unit, share, tokens, now)

    def _limit(self, rate: float) -> Limit:
        return Limit.of(rate, self._settings.burst_s)

    def reports(self) -> list[Report]:
        """What to tell the keeper; `note` or `go_on` must follow."""
        now = self._clock()
        if now - self._swept >= 1:
            self._forget(now)
        self._sent = [
            (key, share, now - share.asked_at >= LEAVE_S) for key, share in self._active.items()
        ]
        return [
            share.report(key, now, alone=self._is_alone, leaves=leaves)
            for key, share, leaves in self._sent
        ]

    def note(self, answer: Answer) -> None:
        """Takes the keeper's answer to the last reports."""
        now = self._clock()
        self._routers = answer.routers
        for (key, share, leaves), grant in zip(self._sent, answer.grants, strict=True):
            if leaves:
                self._leave(key, share, grant.level, grant.weight, now)
            else:
                share.join(grant, now, alone=self._is_alone)
        self._is_alone = False

    def go_on(self) -> None:
        """Notes that no answer came: the shares fill by themselves; idle ones are left so."""
        self._is_alone = True
        now = self._clock()
        for key, share, leaves in self._sent:
            if leaves:
                self._leave(key, share, share.level / share.weight, share.weight, now)

    def _leave(self, key: Key, share: Share, level: float, weight: float, now: float) -> None:
        share.leave(level, weight, now)
        if not share.is_active:
            del self._active[key]
        if not self._active:
            self.needed.clear()

    def _forget(self, now: float) -> None:
        self._swept = now
        for key in [key for key, share in self._shares.items() if share.is_full(now)]:
            del self._shares[key]
