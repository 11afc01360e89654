"""Room for the pictures that the replicas take on, lent to requests; the rest is refused at once.

A request is admitted whole or not at all. One with more pictures than there is room for takes what
is free and waits for more; until it has enough, nobody else is admitted, so that it is not starved
by smaller ones and at most one request waits.
"""

import asyncio
import math

from serve_app.errors import Overloaded


class Slots:
    """Counts the pictures on their way; one event loop, no Ray."""

    def __init__(self, slots: int):
        self._slots = slots
        self._held = 0
        self._wanted = 0
        self._latest_s = 0.0
        self._freed = asyncio.Event()

    @property
    def held(self) -> int:
        """Slots that are lent."""
        return self._held

    def resize(self, slots: int) -> None:
        """Notes how many pictures the replicas take on now; what is lent stays lent."""
        self._slots = slots
        self._freed.set()

    def require_room(self) -> None:
        """Refuses a request that would have to wait for its first slot.

        Raises:
            Overloaded: every slot is lent, or wanted by the request that waits.
        """
        if self._wanted or self._held >= self._slots:
            raise Overloaded("too many pictures are waiting", retry_after_s=self._retry_after_s())

    async def take(self, wanted: int, most: int) -> int:
        """Takes 1 to `most` of the `wanted` slots, as soon as one is free.

        Only a request that was admitted (`require_room`) calls it, and goes on until it has all.
        """
        self._wanted = wanted
        try:
            while self._held >= self._slots:
                self._freed.clear()
                await self._freed.wait()
        except asyncio.CancelledError:
            self._wanted = 0
            raise
        taken = min(wanted, most, self._slots - self._held)
        self._held += taken
        self._wanted = wanted - taken
        return taken

    def give_back(self, slots: int) -> None:
        """Ends what `take` began."""
        self._held -= slots
        self._freed.set()

    def note_seconds(self, seconds: float) -> None:
        """Notes how long a picture needed, from its call to its answer."""
        self._latest_s = seconds

    def _retry_after_s(self) -> int:
        rounds = (self._held + self._wanted) / self._slots
        return max(1, math.ceil(rounds * self._latest_s))
