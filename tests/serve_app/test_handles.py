"""Asking all replicas of a deployment."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from ray.serve.exceptions import DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from serve_app import handles
from serve_app.handles import ask_all


class FakeReplica:
    """A replica's answer, as a broadcast returns it."""

    def __init__(self, answer: Callable[[], Awaitable[str]]):
        self.get_async = answer


class FakeBroadcast:
    """A handle to replicas, and what its broadcast returns."""

    def __init__(self, *replicas: FakeReplica):
        self._replicas = replicas

    def broadcast(self, method: str) -> "FakeBroadcast":
        return self

    async def _fetch_replica_results_async(self) -> tuple[FakeReplica, ...]:
        if not self._replicas:
            raise DeploymentUnavailableError(cast(Any, "the deployment"))
        return self._replicas


async def answers() -> str:
    return "here"


async def fails() -> str:
    raise RuntimeError("it died")


async def is_silent() -> str:
    await asyncio.Event().wait()
    raise AssertionError


async def ask(*replicas: Callable[[], Awaitable[str]]) -> list[str]:
    handle = FakeBroadcast(*(FakeReplica(replica) for replica in replicas))
    return await ask_all(cast(DeploymentHandle[Any], handle), "version")


async def test_a_silent_or_failing_replica_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handles, "ASK_S", 0.05)
    assert await ask(answers, is_silent, fails, answers) == ["here", "here"]


async def test_without_replicas_nobody_answers() -> None:
    assert await ask() == []
