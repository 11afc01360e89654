"""Quotas over several Routers, on a simulated clock."""

from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from serve_app.access.caller import Caller, Quota, Scope
from serve_app.access.leases import Limit
from serve_app.access.quotas import SharedQuotas
from serve_app.errors import QuotaExceeded
from serve_app.settings import QuotaSettings
from tests.serve_app.access.fleet import CALLER, STEP_S, Fleet, Router, greedy, idle

PHASES = st.lists(st.floats(0, 1), min_size=8, max_size=8).map(tuple)
ROUTERS = st.integers(1, 8)
Demand = Callable[[int, Router], None]


def requests(rate: float, burst_s: float = 1.0) -> QuotaSettings:
    return QuotaSettings(requests_per_s=rate, burst_s=burst_s)


def moving(every_s: float, routers: int) -> Demand:
    """All of the demand at one Router, then at the next one."""
    step = -1

    def demand(number: int, router: Router) -> None:
        nonlocal step
        step += number == 0
        if int(step * STEP_S / every_s + 1e-9) % routers == number:
            greedy(number, router)

    return demand


def pictures(count: int) -> Demand:
    def demand(number: int, router: Router) -> None:
        while router.ask(images=count):
            pass

    return demand


def one_picture(number: int, router: Router) -> None:
    router.ask(images=1)


def steady(per_s: float, routers: int) -> Demand:
    """Requests at an even pace, to one Router after the other; the refused ones are counted."""
    step = sent = 0

    def demand(number: int, router: Router) -> None:
        nonlocal step, sent
        step += number == 0
        while sent < step * STEP_S * per_s:
            if sent % routers != number:
                return
            sent += 1
            assert router.ask(requests=1), f"request {sent} was refused"

    return demand


@given(ROUTERS, st.sampled_from([0.5, 2, 7, 30, 100, 1000]), PHASES, st.floats(0.001, 0.02))
@settings(max_examples=25, deadline=None)
def test_a_demand_without_end_gets_the_quota(
    routers: int, rate: float, phases: tuple[float, ...], latency_s: float
) -> None:
    fleet = Fleet(requests(rate), routers, phases=phases, latency_s=latency_s)
    burst = Limit.of(rate, 1).capacity
    first = fleet.run(10, greedy)
    then = fleet.run(10, greedy)
    # A request is whole: one a Router may come in before anybody has heard of the caller.
    assert first <= max(10 * rate + burst, routers) + 0.1 * rate
    assert first >= 9.8 * rate + burst - 0.1 * rate - routers
    paid_off = max(0, routers - 10 * rate - burst)
    assert then <= 10.2 * rate + 1
    assert then >= 0.98 * 10 * rate - 1 - paid_off


@given(st.integers(2, 8), st.sampled_from([2, 100]), PHASES, st.floats(0.05, 4))
@example(routers=4, rate=2, phases=(0.0,), every_s=0.5078125)
@settings(max_examples=25, deadline=None)
def test_a_demand_that_moves_gets_the_quota(
    routers: int, rate: float, phases: tuple[float, ...], every_s: float
) -> None:
    fleet = Fleet(requests(rate), routers, phases=phases)
    demand = moving(every_s, routers)
    burst = Limit.of(rate, 1).capacity
    first = fleet.run(10, demand)
    then = fleet.run(10, demand)
    # The Router it moves to lets its part of a burst in, which is paid off at once.
    ahead = max(1, burst / routers)
    # A demand that moves with every report leaves some of the burst unspent.
    assert 9.8 * rate - 1 <= first <= 10.1 * rate + burst + ahead
    assert 0.98 * 10 * rate - 1 - ahead <= then <= 10.2 * rate + ahead + 1


@given(
    st.integers(2, 6),
    st.sampled_from([2, 20, 200]),
    st.sampled_from([0.2, 1, 3]),
    st.lists(st.tuples(st.integers(0, 5), st.floats(0.005, 2), st.integers(0, 40)), max_size=12),
    PHASES,
)
@settings(max_examples=60, deadline=None)
def test_no_pattern_gets_more_than_the_quota_and_two_bursts(
    routers: int,
    rate: float,
    burst_s: float,
    pattern: list[tuple[int, float, int]],
    phases: tuple[float, ...],
) -> None:
    fleet = Fleet(requests(rate, burst_s), routers, phases=phases)
    burst = Limit.of(rate, burst_s).capacity
    began = fleet.now
    for target, seconds, each in pattern:

        def demand(number: int, router: Router, target: int = target, each: int = each) -> None:
            for _ in range(each if number == target % routers else 0):
                if not router.ask(requests=1):
                    return

        fleet.run(seconds, demand)
        allowed = rate * (fleet.now - began + 0.1) + burst
        assert fleet.admitted <= allowed + max(burst, routers) + 1e-6


def test_everybody_is_let_in_by_the_same_measure() -> None:
    fleet = Fleet(requests(100), 4, phases=(0.0, 0.1, 0.15, 0.2))
    fleet.run(10, greedy)
    shares = [router.admitted for router in fleet.routers]
    assert max(shares) < 1.1 * min(shares)


@pytest.mark.parametrize("routers", [1, 3, 8])
@pytest.mark.parametrize("rate", [4, 20, 100])
def test_who_stays_below_the_quota_is_never_refused(routers: int, rate: float) -> None:
    Fleet(requests(rate), routers).run(20, steady(0.9 * rate, routers))


def test_a_new_caller_does_not_wait_for_the_keeper() -> None:
    fleet = Fleet(requests(2), 3)
    assert all(router.ask(requests=1) for router in fleet.routers)


def test_a_burst_at_one_router_is_given_within_two_periods() -> None:
    fleet = Fleet(requests(100), 2)
    assert fleet.run(0.15, lambda n, router: greedy(n, router) if n == 0 else None) >= 100


@pytest.mark.parametrize("count", [1, 3, 8, 10, 11])
@pytest.mark.parametrize("routers", [1, 3])
def test_pictures_get_the_quota(count: int, routers: int) -> None:
    fleet = Fleet(QuotaSettings(images_per_s=10), routers)
    got = fleet.run(30, pictures(count))
    assert 0.98 * 310 - count <= got <= 310 + max(0, routers * count - 10)


@pytest.mark.parametrize("routers", [1, 3])
def test_more_pictures_than_a_burst_come_in_and_are_paid_off(routers: int) -> None:
    fleet = Fleet(QuotaSettings(images_per_s=10), routers)
    one = fleet.routers[0]
    assert one.ask(images=64)
    assert not one.ask(images=1)
    assert fleet.run(5, one_picture) <= (routers - 1) * 4
    assert fleet.run(25, pictures(64)) in (64 * 3, 64 * 4)


def test_a_caller_s_own_quota_replaces_the_settings_field_by_field() -> None:
    own = Caller("own", frozenset(Scope), Quota(requests_per_s=1))
    quotas = SharedQuotas(QuotaSettings(requests_per_s=3, images_per_s=2), 1, lambda: 0.0)
    quotas.take(own, requests=1)
    with pytest.raises(QuotaExceeded):
        quotas.take(own, requests=1)
    quotas.take(own, images=2)
    with pytest.raises(QuotaExceeded):
        quotas.take(own, images=1)
    quotas.take(CALLER, requests=3)


def test_a_changed_quota_holds_from_the_next_request() -> None:
    now = [0.0]
    quotas = SharedQuotas(QuotaSettings(), 1, lambda: now[0])
    slow = Caller("key", frozenset(Scope), Quota(requests_per_s=1))
    fast = Caller("key", frozenset(Scope), Quota(requests_per_s=10))
    quotas.take(slow, requests=1)
    now[0] = 0.5
    quotas.take(fast, requests=1)


def test_nothing_is_counted_where_nobody_has_a_quota() -> None:
    quotas = SharedQuotas(QuotaSettings(), 1)
    quotas.take(CALLER, requests=1, images=1)
    assert not quotas.is_used
    assert not quotas.needed.is_set()
    assert quotas.shares == 0


def test_idle_callers_are_forgotten() -> None:
    fleet = Fleet(requests(10), 2)
    for router in fleet.routers:
        for number in range(50):
            router.ask(Caller(f"caller {number}", frozenset(Scope)), requests=1)
    fleet.run(0.2, idle)
    assert fleet.keeper is not None
    assert fleet.keeper.buckets == 50
    fleet.run(8, idle)
    assert not any(router.quotas.needed.is_set() for router in fleet.routers)
    assert fleet.keeper.buckets == 0


def test_a_refusal_says_when_to_come_back() -> None:
    fleet = Fleet(requests(0.25), 1)
    fleet.run(0.2, greedy)
    refusal = fleet.routers[0].refusals[0]
    assert refusal.retry_after_s == 4
    assert refusal.headers() == {
        "retry-after": "4",
        "ratelimit-policy": '"requests";q=1;w=4',
        "ratelimit": '"requests";r=0;t=4',
    }
    fleet.run(4, idle)
    assert fleet.routers[0].ask(requests=1)
