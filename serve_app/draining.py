"""Takes this node out of the service before it ends, without losing a request.

Ray is told that the node is about to go. Ray Serve then starts a replica elsewhere for each of this
node's, and stops these once the others answer. The node's HAProxy goes on answering, by replicas of
other nodes, until nobody sends requests here any more; then it finishes what it has, and ends.

All of it shows in the node's own processes, so nothing but the first step needs the head.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

POLL_S = 0.2
QUIET_S = 10.0
"""How long no request must have come before HAProxy ends. Kubernetes takes a pod out of its
endpoints beside its end, not before it, and some seconds go by until every sender knows."""
FINISH_S = 35.0
"""What HAProxy has before the deadline to finish its requests, even where they do not cease: longer
than a request takes (http.deadline_s)."""
ASK_AGAIN_S = 2.0
"""Pause after Ray's head gave no answer."""


@dataclass(frozen=True)
class Left:
    """What still runs on the node: Ray Serve's replicas by their names, and HAProxy's processes."""

    replicas: Sequence[str]
    proxies: int

    def __bool__(self) -> bool:
        return bool(self.replicas) or self.proxies > 0

    def __str__(self) -> str:
        parts = [f"replicas of {', '.join(sorted(self.replicas))}"] if self.replicas else []
        parts += ["HAProxy"] if self.proxies else []
        return " and ".join(parts) or "nothing"


class NodeUnknown(Exception):
    """Ray's head did not answer, or knows nothing of the node."""


class Node(Protocol):
    """The node that this process runs on."""

    @property
    def is_head(self) -> bool:
        """Whether Ray's head runs here: it has no replicas, and cannot be left."""

    def leave(self, deadline: float) -> None:
        """Tells Ray that the node goes at `deadline` (Unix time).

        Raises:
            NodeUnknown: it could not be told.
        """

    def left(self) -> Left:
        """What still runs here."""

    def requests(self) -> int | None:
        """Changes with each request that HAProxy passes on."""

    def finish(self) -> None:
        """Lets HAProxy finish what it has, and end; says so as often as it is called."""


class Drain:
    """One drain of one node."""

    def __init__(
        self,
        node: Node,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self._node = node
        self._say = say
        self._clock = clock
        self._sleep = sleep

    def run(self, timeout_s: float) -> bool:
        """Whether the node was empty within `timeout_s`; what is left is said."""
        if self._node.is_head:
            self._say("the head has no replicas: nothing to drain")
            return True
        started = self._clock()
        deadline = started + timeout_s
        if self._empty(deadline):
            self._say(f"drained within {self._clock() - started:.1f} s")
            return True
        self._say(f"not drained within {timeout_s:g} s; left: {self._node.left()}")
        return False

    def _empty(self, deadline: float) -> bool:
        if not self._told(deadline) or not self._left_by_replicas(deadline):
            return False
        self._wait_until_quiet(deadline - FINISH_S)
        return self._finished(deadline)

    def _told(self, deadline: float) -> bool:
        """A head that restarts is asked again."""
        while True:
            try:
                self._node.leave(deadline)
                return True
            except NodeUnknown as error:
                self._say(f"Ray could not be told: {error}")
            if self._clock() + ASK_AGAIN_S >= deadline:
                return False
            self._sleep(ASK_AGAIN_S)

    def _left_by_replicas(self, deadline: float) -> bool:
        return self._until(lambda: not self._node.left().replicas, deadline)

    def _wait_until_quiet(self, deadline: float) -> None:
        """Until no request has come for a while, or HAProxy has ended by itself."""
        seen, since = self._node.requests(), self._clock()

        def is_quiet() -> bool:
            nonlocal seen, since
            if (now := self._node.requests()) != seen:
                seen, since = now, self._clock()
            return self._clock() - since >= QUIET_S or not self._node.left().proxies

        self._until(is_quiet, deadline)

    def _finished(self, deadline: float) -> bool:
        def has_ended() -> bool:
            # Ray Serve may have put a new process in the place of one that was told.
            self._node.finish()
            return not self._node.left()

        return self._until(has_ended, deadline)

    def _until(self, condition: Callable[[], bool], deadline: float) -> bool:
        while not condition():
            if self._clock() >= deadline:
                return False
            self._sleep(POLL_S)
        return True
