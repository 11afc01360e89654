"""A quota over three Router processes and a keeper on a real Ray, and the end of the keeper."""

import os
from collections.abc import Iterator

import pytest
import ray

from benchmarks.quotas import admitted, routers, spent
from serve_app.settings import QuotaSettings

pytestmark = pytest.mark.timeout(300)

RATE = 50
ROUTERS = 3


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """A Ray of this test's own."""
    os.environ["RAY_AUTH_MODE"] = "disabled"
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def test_the_sum_over_all_routers_is_the_quota() -> None:
    """Three Routers that did not know of each other would admit three times as much."""
    with routers(ROUTERS, QuotaSettings(requests_per_s=RATE)) as handles:
        answers = admitted(handles, 6, None)
    sums = [sum(answer.by_second) for answer in answers]
    assert sum(sums) == pytest.approx(7 * RATE, rel=0.05)
    assert min(sums) > 0


def test_the_keeper_s_end_neither_opens_the_gate_nor_shuts_it() -> None:
    with routers(ROUTERS, QuotaSettings(requests_per_s=RATE)) as handles:
        answers = [spent(answer) for answer in admitted(handles, 12, 3)]
    by_second = [sum(second) for second in zip(*(a.by_second for a in answers), strict=True)]
    # Whole seconds: a period's tokens fall into this one or the next.
    assert max(by_second) < 1.5 * RATE
    assert sum(by_second) == pytest.approx(10 * RATE, rel=0.1)
    assert all(answer.answered_at[-1] > answer.answered_at[0] + 6 for answer in answers)
