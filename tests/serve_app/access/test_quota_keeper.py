"""How a Router stays in touch with the keeper; the real one is met in tests/application."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from serve_app.access import quota_keeper
from serve_app.access.keeper import Keeper
from serve_app.access.leases import Answer, Report
from serve_app.access.quota_keeper import KeeperLost, RayKeeper, Renewal
from serve_app.access.quotas import SharedQuotas
from serve_app.settings import QuotaSettings
from tests.serve_app.access.fleet import CALLER


class FakeKeeper:
    """A keeper in the same process, which can be lost."""

    def __init__(self) -> None:
        self.calls: list[Sequence[Report]] = []
        self.called = asyncio.Event()
        self.is_lost = False
        self.fault: Exception | None = None
        self._keeper = Keeper(asyncio.get_running_loop().time)

    async def renew(self, router: str, reports: Sequence[Report]) -> Answer:
        self.calls.append(reports)
        self.called.set()
        if self.is_lost:
            raise KeeperLost("it ended")
        if self.fault is not None:
            raise self.fault
        return self._keeper.renew(router, reports)


async def _called(keeper: FakeKeeper) -> None:
    async with asyncio.timeout(5):
        await keeper.called.wait()
    keeper.called.clear()


async def test_nobody_is_called_before_a_caller_has_a_quota() -> None:
    keeper = FakeKeeper()
    quotas = SharedQuotas(QuotaSettings(), 1)
    task = asyncio.create_task(Renewal(quotas, keeper, "router").run())
    quotas.take(CALLER, requests=1)
    await asyncio.sleep(0.1)
    assert keeper.calls == []
    task.cancel()


async def test_a_first_request_is_reported_at_once() -> None:
    keeper = FakeKeeper()
    quotas = SharedQuotas(QuotaSettings(requests_per_s=10), 1)
    task = asyncio.create_task(Renewal(quotas, keeper, "router").run())
    quotas.take(CALLER, requests=1)
    await _called(keeper)
    assert [report.used for report in keeper.calls[0]] == [1]
    task.cancel()


async def test_an_idle_router_says_that_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota_keeper, "HEARTBEAT_S", 0.01)
    keeper = FakeKeeper()
    quotas = SharedQuotas(QuotaSettings(requests_per_s=10), 1)
    task = asyncio.create_task(Renewal(quotas, keeper, "router").run())
    await _called(keeper)
    assert keeper.calls == [[]]
    task.cancel()


async def test_a_lost_keeper_is_said_once_and_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    keeper = FakeKeeper()
    quotas = SharedQuotas(QuotaSettings(requests_per_s=10), 1)
    renewal = Renewal(quotas, keeper, "router")
    quotas.take(CALLER, requests=1)
    keeper.is_lost = True
    await renewal.renew()
    await renewal.renew()
    assert len(caplog.records) == 1
    keeper.is_lost = False
    await renewal.renew()
    assert [report.alone for calls in keeper.calls for report in calls] == [False, True, True]


async def test_a_fault_of_one_renewal_does_not_end_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    keeper = FakeKeeper()
    keeper.fault = RuntimeError("nobody expected this")
    quotas = SharedQuotas(QuotaSettings(requests_per_s=10), 1)
    task = asyncio.create_task(Renewal(quotas, keeper, "router").run())
    quotas.take(CALLER, requests=1)
    await _called(keeper)
    keeper.fault = None
    await _called(keeper)
    assert "nobody expected this" in caplog.text
    assert not task.done()
    task.cancel()


class SearchedKeeper(RayKeeper):
    """A keeper that is searched for until `found`, as where Ray's head is away."""

    def __init__(self) -> None:
        super().__init__("scoring")
        self.searches = 0
        self.found = threading.Event()
        self.fault: Exception | None = None

    def _find(self) -> Any:
        self.searches += 1
        self.found.wait()
        if self.fault is not None:
            raise self.fault
        return self


async def test_a_search_that_hangs_is_not_begun_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota_keeper, "TIMEOUT_S", 0.05)
    keeper = SearchedKeeper()
    for _ in range(3):
        with pytest.raises(KeeperLost):
            await keeper.renew("router", [])
    assert keeper.searches == 1
    keeper.found.set()


async def test_a_search_that_failed_is_begun_again() -> None:
    keeper = SearchedKeeper()
    keeper.found.set()
    keeper.fault = RuntimeError("the head is away")
    for searches in (1, 2):
        with pytest.raises(RuntimeError):
            await keeper.renew("router", [])
        assert keeper.searches == searches
