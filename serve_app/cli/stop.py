"""The wish to stop, set by signals."""

import contextlib
import os
import select
import signal
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignal:
    """Set once SIGINT, SIGTERM or SIGHUP has come; can be waited for.

    A `threading.Event` will not do: a second signal may interrupt its `set` while it holds its
    lock, and then waits for that lock for ever.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def listen(self) -> None:
        """Takes over the signals' handlers."""
        for number in STOPPING:
            signal.signal(number, self._note)

    def is_set(self) -> bool:
        """Whether a signal has come."""
        return self._is_set

    def wait(self, timeout_s: float) -> None:
        """Returns when a signal has come, or after `timeout_s`."""
        select.select([self._reader], [], [], timeout_s)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._is_set = True
        with contextlib.suppress(BlockingIOError):  # the pipe is full: it says enough already
            os.write(self._writer, b"!")
