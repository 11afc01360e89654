"""An event loop whose clock jumps to the next timer, so that tests about time take none.

With no timer left and nothing ready the loop would wait for ever: that is an error here, so
a caller left hanging fails its test at once.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")


class HangingError(RuntimeError):
    """Something waits, and nothing that could wake it is left."""


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise HangingError
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """Timers fire in order at their exact moment; nothing outside the process is waited for."""

    def __init__(self) -> None:
        self._clock = _JumpingSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now

    def pending_timers(self) -> int:
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        return sum(not timer.cancelled() for timer in timers)


def on_virtual_clock(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Runs an async test on a VirtualClockLoop and checks that it leaves no task and no timer."""

    async def checked(*args: P.args, **kwargs: P.kwargs) -> None:
        await test(*args, **kwargs)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualClockLoop)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert loop.pending_timers() == 0

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
            runner.run(checked(*args, **kwargs))

    return run
