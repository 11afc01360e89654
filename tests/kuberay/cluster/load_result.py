"""What came of the load: read from the pod's log, and judged."""

import json
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

UNDER_WAY_S = 0.5
"""A question takes milliseconds; what half a second of load holds cannot all be under way in one
process, so more failures than this are not the killed process's own."""


class NoResult(Exception):
    """The log holds no figures; the message is its end."""


@dataclass(frozen=True)
class Failure:
    """One request that failed: when (Unix time, of the pod's node), and how."""

    at_s: float
    kind: str


@dataclass(frozen=True)
class LoadResult:
    """The figures of one run of `scoring load`; `retries` were never sent before."""

    sent: int
    answered: int
    refused: int
    errors: int
    retries: int
    seconds: float
    failures: tuple[Failure, ...]
    p99_ms: float
    slowest_ms: float

    @property
    def lost(self) -> int:
        """Requests without a good answer; a refusal (429) is none either."""
        return self.errors + self.refused

    def __str__(self) -> str:
        """One line, with each kind of failure."""
        kinds = Counter(each.kind for each in self.failures)
        named = ", ".join(f"{count} x {kind}" for kind, count in kinds.most_common())
        return (
            f"{self.sent:,} sent in {self.seconds:.0f} s, {self.answered:,} answered, "
            f"{self.refused} refused, {self.errors} failed{f' ({named})' if named else ''}, "
            f"{self.retries} connections tried again, p99 {self.p99_ms:.0f} ms, "
            f"slowest {self.slowest_ms:.0f} ms"
        )

    def expect_nothing_lost(self, during: str) -> None:
        """Raises AssertionError, with the failures, where a request was not answered."""
        self._expect_load(during)
        if self.lost:
            first = [f"{each.at_s:.3f} {each.kind}" for each in self.failures[:20]]
            raise AssertionError("\n".join([f"{during}: requests were lost: {self}", *first]))

    def expect_lost_under_way_only(self, during: str, killed_at_s: float, rate: float) -> None:
        """For a process that was killed: no more lost than it can have had under way, and none
        that ended before it was killed.

        Raises:
            AssertionError
        """
        self._expect_load(during)
        allowed = allowed_under_way(rate)
        if self.lost > allowed:
            raise AssertionError(f"{during}: more were lost than {allowed} under way: {self}")
        if early := [each for each in self.failures if each.at_s < killed_at_s - CLOCKS_S]:
            raise AssertionError(f"{during}: {len(early)} failed before the kill: {early[0]}")

    def _expect_load(self, during: str) -> None:
        if not self.answered or self.sent != self.answered + self.refused + self.errors:
            raise AssertionError(f"{during}: there was no load: {self}")


CLOCKS_S = 2.0
"""How far the clocks of the test and of the node may differ."""


def allowed_under_way(rate: float) -> int:
    """Of a load of `rate` requests a second."""
    return max(3, math.ceil(rate * UNDER_WAY_S))


def parse(log: str) -> LoadResult:
    """From the last line of the log that is JSON. Raises NoResult."""
    for line in reversed(log.splitlines()):
        if line.startswith("{"):
            try:
                return _result(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise NoResult(f"{error!r} in {line[:500]}") from error
    raise NoResult(log[-2000:] or "the log is empty")


def _result(content: dict[str, Any]) -> LoadResult:
    total = content["total"]
    latency = total["latency_ms"] or {"p99": math.nan, "max": math.nan}
    return LoadResult(
        sent=total["sent"],
        answered=total["answered"],
        refused=total["refused"],
        errors=total["errors"],
        retries=content["retries"],
        seconds=total["seconds"],
        failures=tuple(Failure(each["at_unix_s"], each["kind"]) for each in content["failures"]),
        p99_ms=latency["p99"],
        slowest_ms=latency["max"],
    )
