"""The order of a drain, its deadline, and what it says."""

import pytest

from serve_app.draining import POLL_S, QUIET_S, Drain, Left, NodeUnknown


class FakeNode:
    """A node with a clock of its own; what happens is a matter of the seconds since the start."""

    def __init__(
        self,
        *,
        is_head: bool = False,
        untold_until_s: float = 0,
        replicas_until_s: float = 30,
        requests_until_s: float = 0,
        needs_to_finish_s: float = 2,
        proxies_end_at_s: float = float("inf"),
    ):
        self.is_head = is_head
        self.now = 1000.0
        self.deadline: float | None = None
        self.finish_began: float | None = None
        self._untold_until_s = untold_until_s
        self._replicas_until_s = replicas_until_s
        self._requests_until_s = requests_until_s
        self._needs_to_finish_s = needs_to_finish_s
        self._proxies_end_at_s = proxies_end_at_s

    @property
    def elapsed(self) -> float:
        return self.now - 1000

    def sleep(self, seconds: float) -> None:
        assert seconds >= POLL_S
        self.now += seconds

    def leave(self, deadline: float) -> None:
        if self.elapsed < self._untold_until_s:
            raise NodeUnknown("the head restarts")
        self.deadline = deadline

    def left(self) -> Left:
        has_finished = (
            self.finish_began is not None
            and self.now >= self.finish_began + self._needs_to_finish_s
        ) or self.elapsed >= self._proxies_end_at_s
        replicas = ["scoring:Router"] if self.elapsed < self._replicas_until_s else []
        return Left(replicas, 0 if has_finished else 1)

    def requests(self) -> int | None:
        return int(min(self.elapsed, self._requests_until_s) * 10)

    def finish(self) -> None:
        self.finish_began = self.finish_began or self.now


def drain(node: FakeNode, timeout_s: float = 120) -> tuple[bool, list[str]]:
    said: list[str] = []
    return Drain(node, said.append, lambda: node.now, node.sleep).run(timeout_s), said


def test_an_empty_node_is_the_end() -> None:
    node = FakeNode(replicas_until_s=31)
    empty, said = drain(node)
    assert empty
    assert node.deadline == 1120
    assert said == [f"drained within {node.elapsed:.1f} s"]
    assert 31 + QUIET_S + 2 <= node.elapsed < 31 + QUIET_S + 3


def test_haproxy_answers_until_requests_have_ceased() -> None:
    node = FakeNode(replicas_until_s=5, requests_until_s=50)
    assert drain(node)[0]
    assert node.finish_began is not None
    assert node.finish_began >= 1000 + 50 + QUIET_S


def test_a_haproxy_that_has_ended_is_not_waited_for() -> None:
    node = FakeNode(replicas_until_s=40, proxies_end_at_s=35)
    assert drain(node)[0]
    assert node.elapsed < 41


def test_replicas_that_find_no_other_place_are_named_at_the_deadline() -> None:
    node = FakeNode(replicas_until_s=1000)
    empty, said = drain(node)
    assert not empty
    assert node.elapsed == pytest.approx(120, abs=1)
    assert node.finish_began is None
    assert said == ["not drained within 120 s; left: replicas of scoring:Router and HAProxy"]


def test_requests_that_never_end_are_named_at_the_deadline() -> None:
    node = FakeNode(needs_to_finish_s=1000)
    empty, said = drain(node)
    assert not empty
    assert said == ["not drained within 120 s; left: HAProxy"]


def test_requests_that_never_cease_let_haproxy_finish_before_the_deadline() -> None:
    node = FakeNode(requests_until_s=1000, needs_to_finish_s=9)
    assert drain(node)[0]
    assert node.elapsed <= 120


def test_a_head_that_restarts_is_told_again() -> None:
    node = FakeNode(untold_until_s=15)
    empty, said = drain(node)
    assert empty
    assert node.deadline == 1120
    assert "the head restarts" in said[0]


def test_a_head_that_stays_away_is_not_asked_for_ever() -> None:
    node = FakeNode(untold_until_s=1000)
    empty, said = drain(node)
    assert not empty
    assert node.elapsed <= 120
    assert said[-1].startswith("not drained within 120 s")


def test_the_head_itself_is_left_alone() -> None:
    node = FakeNode(is_head=True)
    empty, said = drain(node)
    assert empty
    assert node.deadline is None
    assert node.elapsed == 0
    assert said == ["the head has no replicas: nothing to drain"]
