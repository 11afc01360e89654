"""Routers and a keeper on a simulated clock."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from serve_app.access.caller import Caller, Scope
from serve_app.access.keeper import Keeper
from serve_app.access.leases import PERIOD_S, Answer, Report
from serve_app.access.quotas import SharedQuotas
from serve_app.errors import QuotaExceeded
from serve_app.settings import QuotaSettings

STEP_S = 0.005
HEARTBEAT_S = 1.0
CALLER = Caller("someone", frozenset(Scope))


@dataclass
class Router:
    """One Router's quotas, and when it speaks to the keeper next."""

    name: str
    quotas: SharedQuotas
    report_at: float
    latency_s: float
    admitted: int = 0
    largest: int = 0
    waiting: tuple[float, Callable[[], Answer]] | None = None
    refusals: list[QuotaExceeded] = field(default_factory=list)

    def ask(self, caller: Caller = CALLER, *, requests: int = 0, images: int = 0) -> bool:
        """Whether it is let in."""
        try:
            self.quotas.take(caller, requests=requests, images=images)
        except QuotaExceeded as refusal:
            self.refusals = [refusal]
            return False
        self.admitted += requests + images
        return True


class Fleet:
    """Several Routers that report to one keeper; `keeper` may be None for a while: it is lost."""

    def __init__(
        self,
        settings: QuotaSettings,
        routers: int,
        *,
        phases: tuple[float, ...] = (0.0,),
        latency_s: float = 0.002,
        guess: int | None = None,
        keeper_age_s: float = 3600,
    ):
        self.now = 1000.0 - keeper_age_s
        self.keeper: Keeper | None = Keeper(self.clock)
        self.now = 1000.0
        self._asleep: Keeper | None = None
        self._unheard: list[tuple[str, list[Report]]] = []
        self.routers = [
            Router(
                str(number),
                SharedQuotas(settings, guess or routers, self.clock),
                self.now + phases[number % len(phases)] * PERIOD_S,
                latency_s,
            )
            for number in range(routers)
        ]
        for router in self.routers:
            self._hear(router)

    def clock(self) -> float:
        return self.now

    @property
    def admitted(self) -> int:
        return sum(router.admitted for router in self.routers)

    def lose_keeper(self) -> None:
        self.keeper = None

    def new_keeper(self) -> None:
        self.keeper = Keeper(self.clock)

    def hang_keeper(self) -> None:
        """Calls time out from now on, and are done when it wakes."""
        self._asleep, self.keeper = self.keeper, None

    def wake_keeper(self) -> None:
        """The keeper works off what was said to it meanwhile."""
        self._wake(self._asleep)

    def start_slowly(self) -> None:
        """As `wake_keeper`, with a keeper that knows nothing."""
        self._wake(Keeper(self.clock))

    def start_while_routers_wait(self, seconds: float) -> None:
        """A keeper was missed by everybody; the next call starts another and waits for it."""
        self.keeper = Keeper(self.clock)
        for router in self.routers:
            router.quotas.go_on()
            call = partial(self.keeper.renew, router.name, router.quotas.reports())
            router.waiting = (self.now + seconds, call)

    def _wake(self, keeper: Keeper | None) -> None:
        assert keeper is not None
        self.keeper = keeper
        for name, reports in self._unheard:
            keeper.renew(name, reports)

    def run(self, seconds: float, demand: Callable[[int, Router], None]) -> int:
        """Lets time pass; each step every Router meets its demand. What was admitted."""
        before = self.admitted
        for _ in range(round(seconds / STEP_S)):
            for number, router in enumerate(self.routers):
                demand(number, router)
                self._renew(router)
            self.now += STEP_S
        return self.admitted - before

    def _renew(self, router: Router) -> None:
        if router.waiting is not None:
            if self.now < router.waiting[0]:
                return
            router.quotas.note(router.waiting[1]())
            router.waiting = None
            router.report_at = self.now + PERIOD_S
        elif self.now >= router.report_at and (
            router.quotas.needed.is_set() or self.now >= router.report_at + HEARTBEAT_S
        ):
            self._hear(router)

    def _hear(self, router: Router) -> None:
        reports = router.quotas.reports()
        if self.keeper is None:
            router.quotas.go_on()
            self._unheard.append((router.name, reports))
            router.report_at = self.now + PERIOD_S
        else:
            answer = self.keeper.renew(router.name, reports)
            router.waiting = (self.now + router.latency_s, lambda: answer)


def greedy(number: int, router: Router) -> None:
    """More requests than there can be quota for."""
    for _ in range(1000):
        if not router.ask(requests=1):
            return


def idle(number: int, router: Router) -> None:
    """Nobody asks."""
