"""Whether a quota holds over several Routers on a real Ray, and what happens without its keeper.

`python -m benchmarks.quotas` starts Ray, Routers that are nothing but their quotas, and a demand
that no quota meets.
"""

import argparse
import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray

from serve_app.access.caller import Caller, Scope
from serve_app.access.leases import Answer, Report
from serve_app.access.quota_keeper import NAMESPACE, RayKeeper, Renewal
from serve_app.access.quotas import SharedQuotas
from serve_app.errors import QuotaExceeded
from serve_app.settings import QuotaSettings

CALLER = Caller("benchmark", frozenset(Scope))
APPLICATION = "benchmark"
PAUSE_S = 0.002
TAKES = 200_000


@dataclass(frozen=True, slots=True)
class Admitted:
    """What one Router let in, by the second, and when it was answered by the keeper."""

    by_second: tuple[int, ...]
    answered_at: tuple[float, ...]


class _WatchedKeeper(RayKeeper):
    def __init__(self, application: str):
        super().__init__(application)
        self.answered_at: list[float] = []

    async def renew(self, router: str, reports: Sequence[Report]) -> Answer:
        answer = await super().renew(router, reports)
        self.answered_at.append(time.time())
        return answer


class Router:
    """The quotas of a Router, without the Router."""

    def __init__(self, name: str, settings: QuotaSettings):
        self._quotas = SharedQuotas(settings, routers=4)
        self._keeper = _WatchedKeeper(APPLICATION)
        self._renewal = Renewal(self._quotas, self._keeper, name)
        self._task: asyncio.Task[None] | None = None

    async def connect(self) -> bool:
        """Starts to report; whether the keeper was heard."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._renewal.run())
        return bool(self._keeper.answered_at)

    async def demand(self, start: float, seconds: int) -> Admitted:
        """Asks for more than there is, from `start` on, by the machine's clock."""
        by_second = [0] * seconds
        await asyncio.sleep(start - time.time())
        while (second := int(time.time() - start)) < seconds:
            by_second[second] += self._take_all()
            await asyncio.sleep(PAUSE_S)
        answered_at = [at for at in self._keeper.answered_at if at >= start]
        return Admitted(tuple(by_second), tuple(answered_at))

    def _take_all(self) -> int:
        taken = 0
        try:
            while True:
                self._quotas.take(CALLER, requests=1)
                taken += 1
        except QuotaExceeded:
            return taken


@contextmanager
def routers(count: int, settings: QuotaSettings) -> Iterator[list[Any]]:
    """Routers, each a process, that have all heard the keeper."""
    actor: Any = ray.remote(num_cpus=0)(Router)
    handles = [actor.remote(f"router {number}", settings) for number in range(count)]
    until = time.monotonic() + 60
    while not all(ray.get([handle.connect.remote() for handle in handles])):
        if time.monotonic() > until:
            raise TimeoutError("the keeper was not heard in a minute")
        time.sleep(0.05)
    time.sleep(2)  # a heartbeat: everybody knows how many there are
    yield handles
    for handle in handles:
        ray.kill(handle)


def admitted(handles: Sequence[Any], seconds: int, kill_keeper_at: float | None) -> list[Admitted]:
    """What each Router lets in of a demand without end; the keeper can be ended in between."""
    start = time.time() + 0.5
    running = [handle.demand.remote(start, seconds) for handle in handles]
    if kill_keeper_at is not None:
        time.sleep(start + kill_keeper_at - time.time())
        ray.kill(ray.get_actor(RayKeeper(APPLICATION).name, namespace=NAMESPACE))
    answers: list[Admitted] = ray.get(running)
    return answers


def spent(of: Admitted) -> Admitted:
    """Without its first two seconds, in which a burst may be spent."""
    return Admitted(of.by_second[2:], of.answered_at)


def silence_s(of: Admitted) -> float:
    """The longest time between two answers of the keeper."""
    return max(later - earlier for earlier, later in itertools.pairwise(of.answered_at))


def take_us(rate: float) -> float:
    """Microseconds of one `take`, admitted or refused as the rate has it."""
    quotas = SharedQuotas(QuotaSettings(requests_per_s=rate), routers=1)
    began = time.perf_counter()
    for _ in range(TAKES):
        try:
            quotas.take(CALLER, requests=1)
        except QuotaExceeded:
            continue
    return (time.perf_counter() - began) / TAKES * 1e6


def _print_run(title: str, answers: Sequence[Admitted], rate: float, allowed: float) -> None:
    sums = [sum(each) for each in zip(*(answer.by_second for answer in answers), strict=True)]
    print(f"{title}: {sum(sums)} admitted, {allowed:g} allowed ({sum(sums) / allowed - 1:+.1%})")
    print(f"  by second: {sums}, quota {rate:g}")
    print(f"  by Router: {[sum(answer.by_second) for answer in answers]}")
    print(f"  longest time between two answers of the keeper: {max(map(silence_s, answers)):.2f} s")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--routers", type=int, default=3)
    parser.add_argument("--rates", type=float, nargs="+", default=[2, 100, 1000])
    options = parser.parse_args()
    print(f"take: {take_us(1e9):.2f} us admitted, {take_us(1e-3):.2f} us refused")
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    for rate in options.rates:
        settings = QuotaSettings(requests_per_s=rate)
        with routers(options.routers, settings) as handles:
            first = admitted(handles, 10, None)
            _print_run(f"{rate:g}/s, from a full bucket", first, rate, 10 * rate + rate)
            later = [spent(each) for each in admitted(handles, 12, 5)]
            _print_run(f"{rate:g}/s, keeper ended in second 3", later, rate, 10 * rate)
    ray.shutdown()


if __name__ == "__main__":
    main()
