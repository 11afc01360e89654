"""What is let in while the keeper of the quotas is away, and when it is back."""

import pytest

from serve_app.settings import QuotaSettings
from tests.serve_app.access.fleet import Fleet, Router, greedy, idle

RATE = 100


@pytest.fixture
def fleet() -> Fleet:
    """Three Routers that have spent the burst of a caller."""
    fleet = Fleet(QuotaSettings(requests_per_s=RATE), 3, phases=(0.0, 0.3, 0.7))
    fleet.run(5, greedy)
    return fleet


def test_the_quota_holds_without_a_keeper(fleet: Fleet) -> None:
    fleet.lose_keeper()
    assert fleet.run(10, greedy) == pytest.approx(10 * RATE, rel=0.05)


def test_the_gate_is_not_shut_for_longer_than_the_grace(fleet: Fleet) -> None:
    fleet.lose_keeper()
    fleet.run(0.3, greedy)
    assert fleet.run(0.5, greedy) >= 0.4 * RATE


def test_a_new_keeper_gives_no_second_burst(fleet: Fleet) -> None:
    fleet.lose_keeper()
    fleet.run(1, greedy)
    fleet.new_keeper()
    assert fleet.run(10, greedy) == pytest.approx(10 * RATE, rel=0.02)


@pytest.mark.parametrize("seconds", [0.3, 1, 4])
def test_a_keeper_that_starts_slowly_neither_opens_the_gate_nor_shuts_it(
    fleet: Fleet, seconds: float
) -> None:
    """It is told in one go what Routers said to it while it started."""
    fleet.lose_keeper()
    fleet.run(seconds, greedy)
    fleet.start_slowly()
    assert fleet.run(0.5, greedy) == pytest.approx(0.5 * RATE, abs=0.15 * RATE)
    assert fleet.run(10, greedy) == pytest.approx(10 * RATE, rel=0.02)


@pytest.mark.parametrize("seconds", [0.3, 0.7, 1])
def test_what_comes_in_while_a_keeper_starts_is_no_debt_to_it(fleet: Fleet, seconds: float) -> None:
    fleet.start_while_routers_wait(seconds)
    assert fleet.run(seconds + 0.5, greedy) == pytest.approx(
        (seconds + 0.5) * RATE, abs=0.15 * RATE
    )
    assert fleet.run(10, greedy) == pytest.approx(10 * RATE, rel=0.02)


def test_a_keeper_that_is_slow_every_time_does_not_open_the_gate() -> None:
    slow = Fleet(QuotaSettings(requests_per_s=RATE), 3, latency_s=0.5)
    slow.run(5, greedy)
    assert 0.9 * 20 * RATE <= slow.run(20, greedy) <= 1.02 * 20 * RATE


@pytest.mark.parametrize("seconds", [0.3, 1, 4])
def test_a_keeper_that_hangs_neither_opens_the_gate_nor_shuts_it(
    fleet: Fleet, seconds: float
) -> None:
    fleet.hang_keeper()
    assert fleet.run(seconds, greedy) == pytest.approx(seconds * RATE, abs=0.25 * RATE)
    fleet.wake_keeper()
    assert fleet.run(0.5, greedy) == pytest.approx(0.5 * RATE, abs=0.15 * RATE)
    assert fleet.run(10, greedy) == pytest.approx(10 * RATE, rel=0.02)


def test_a_keeper_that_is_replaced_at_once_changes_nothing(fleet: Fleet) -> None:
    fleet.new_keeper()
    assert fleet.run(10, greedy) == pytest.approx(10 * RATE, rel=0.02)


def test_the_loss_of_keepers_again_and_again_does_not_open_the_gate(fleet: Fleet) -> None:
    before = fleet.admitted
    for _ in range(10):
        fleet.new_keeper()
        fleet.run(1, greedy)
    assert fleet.admitted - before == pytest.approx(10 * RATE, rel=0.05)


def test_who_was_idle_has_the_burst_that_the_routers_hold() -> None:
    fleet = Fleet(QuotaSettings(requests_per_s=RATE), 3, keeper_age_s=0)
    assert fleet.run(5, greedy) == pytest.approx(6 * RATE, rel=0.05)


def test_a_caller_who_leaves_and_comes_back_finds_no_second_burst_in_a_new_keeper() -> None:
    fleet = Fleet(QuotaSettings(requests_per_s=RATE, burst_s=60), 3, keeper_age_s=0)
    fleet.run(2, greedy)
    for _ in range(5):
        fleet.run(1.5, idle)
        fleet.run(0.5, greedy)
    assert fleet.admitted <= 12.2 * RATE + 60 * RATE


def test_one_router_that_hears_nothing_goes_on_by_itself_below_twice_the_quota(
    fleet: Fleet,
) -> None:
    def only_first(number: int, router: Router) -> None:
        if number == 0:
            greedy(number, router)

    fleet.run(3, only_first)
    fleet.lose_keeper()
    assert fleet.run(10, greedy) < 2 * 10 * RATE + RATE
