"""The keeper's memory of Routers and callers."""

from serve_app.access.keeper import Keeper
from serve_app.access.leases import Limit, Report


def report(caller: str = "someone", *, used: int = 0, held: float = 0, short: int = 0) -> Report:
    limit = Limit.of(100, 1)
    return Report((caller, "requests"), limit, held, 0, used, used + short, short)


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def old_keeper() -> tuple[Keeper, Clock]:
    clock = Clock()
    keeper = Keeper(clock)
    clock.now = 100.0
    return keeper, clock


def test_routers_are_counted_while_they_are_heard() -> None:
    keeper, clock = old_keeper()
    assert keeper.renew("one", []).routers == 1
    assert keeper.renew("two", []).routers == 2
    clock.now += 3.5
    keeper.renew("two", [])
    assert keeper.renew("two", []).routers == 1


def test_what_a_router_held_that_is_gone_is_free_again() -> None:
    keeper, clock = old_keeper()
    for _ in range(2):
        keeper.renew("gone", [report(held=100)])
        clock.now += 0.2
    keeper.renew("other", [])
    clock.now += 3.5
    keeper.renew("other", [report(held=50)])
    clock.now += 0.2
    assert keeper.renew("other", [report(held=50, used=1)]).grants[0].held == 99


def test_the_debt_of_routers_that_had_not_heard_of_a_caller_is_paid_off() -> None:
    keeper, clock = old_keeper()
    for router in ("one", "two", "three"):
        keeper.renew(router, [report(used=50)])
    clock.now += 0.3
    grant = keeper.renew("one", [report(short=1)]).grants[0]
    assert (grant.held, round(grant.level)) == (0, -20)
    clock.now += 0.3
    assert keeper.renew("one", [report(short=1)]).grants[0].held > 0


def test_a_new_keeper_knows_only_what_routers_hold() -> None:
    keeper = Keeper(Clock())
    grants = [keeper.renew(router, [report(held=2.5)]).grants[0] for router in ("one", "two")]
    assert [grant.level for grant in grants] == [2.5, 5]
