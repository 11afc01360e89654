"""Attempts, waits and the deadline: decided without a network, by a clock that is told the time."""

from datetime import UTC, datetime

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.client import (
    DeadlinePassed,
    Overloaded,
    QuotaExceeded,
    Ranking,
    Retries,
    ScoringServiceError,
    TransportFailed,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)
from serve_app.client.conversation import Answer, Clock, Reply, Send, TimeIsUp, Wait, converse
from serve_app.client.requests import rank_one, ready
from serve_app.client.retries import Patience

RANKED = {
    "matches": [],
    "matched": False,
    "model": {"name": "faq", "version": "1", "digest": "sha256:0", "later": 1},
    "timing": {"queue_ms": 0.1, "inference_ms": 0.2, "total_ms": 0.3},
}
OK = Answer(200, {}, msgspec.json.encode(RANKED))
DROPPED = httpx.RemoteProtocolError("the server left")
NO_ROUTE = httpx.ConnectError("refused")


class FakeClock(Clock):
    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def today(self) -> datetime:
        return datetime(2026, 3, 1, tzinfo=UTC)


def refusal(status: int = 429, code: str = "overloaded", **headers: str) -> Answer:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, fields, msgspec.json.encode({"code": code, "detail": "no"}))


class Drive:
    """Plays the network: each reply in turn, each taking `takes_s`."""

    def __init__(self, replies: list[Reply], *, takes_s: float = 0.0, chance: float = 0.0) -> None:
        self.replies = list(replies)
        self.takes_s = takes_s
        self.chance = chance
        self.sent: list[float] = []
        self.waits: list[float] = []

    def run(self, timeout_s: float = 30.0, retries: Retries | None = None) -> Ranking:
        clock = FakeClock()
        patience = Patience(retries or Retries(), lambda: self.chance)
        conversation = converse(rank_one("why", 3, 0.0), timeout_s, patience, clock)
        reply: Reply = None
        while True:
            try:
                step = conversation.send(reply)
            except StopIteration as ended:
                ranking: Ranking = ended.value
                return ranking
            if isinstance(step, Wait):
                self.waits.append(step.seconds)
                clock.time += step.seconds
                reply = None
            else:
                assert isinstance(step, Send)
                self.sent.append(step.left_s)
                clock.time += self.takes_s
                reply = self.replies.pop(0)


def test_an_answer_is_a_result_and_later_fields_do_not_disturb() -> None:
    assert Drive([OK]).run().model.name == "faq"


@pytest.mark.parametrize("status", [429, 503])
def test_a_refusal_with_retry_after_is_asked_again_after_it(status: int) -> None:
    drive = Drive([refusal(status, retry_after="2"), OK])
    drive.run()
    assert drive.waits == [2.0]
    assert drive.sent == [30.0, 28.0]


def test_a_date_is_waited_for() -> None:
    drive = Drive([refusal(retry_after="Sun, 01 Mar 2026 00:00:07 GMT"), OK])
    drive.run()
    assert drive.waits == [7.0]


def test_jitter_comes_on_top_and_grows_up_to_its_bound() -> None:
    retries = Retries(refused=5, first_jitter_s=0.5, longest_jitter_s=3.0)
    drive = Drive([*[refusal(retry_after="1")] * 5, OK], chance=1.0)
    drive.run(retries=retries)
    assert drive.waits == [1.5, 2.0, 3.0, 4.0, 4.0]


@given(st.floats(0, 1), st.integers(0, 2000))
def test_jitter_is_never_beyond_its_bounds(chance: float, used: int) -> None:
    patience = Patience(Retries(refused=used + 1), lambda: chance)
    error = Overloaded("overloaded", "no", status=429, retry_after_s=1.0)
    for _ in range(used):
        patience.wait_s(error)
    wait_s = patience.wait_s(error)
    assert wait_s is not None
    assert 1.0 <= wait_s <= 1.0 + 5.0
    assert patience.wait_s(error) is None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(429), Overloaded),
        (refusal(503, "model_unavailable"), Unavailable),
        (refusal(500, "internal_error", retry_after="1"), ScoringServiceError),
        (refusal(504, "deadline_passed", retry_after="1"), DeadlinePassed),
        (refusal(422, "question_empty", retry_after="1"), ScoringServiceError),
        (Answer(503, {"retry-after": "1"}, b"<html>"), UnexpectedAnswer),
        (Answer(200, {}, b"{}"), UnexpectedAnswer),
        (Answer(302, {"location": "/"}, b""), UnexpectedAnswer),
    ],
)
def test_nothing_else_is_asked_again(answer: Answer, kind: type[ScoringServiceError]) -> None:
    drive = Drive([answer])
    with pytest.raises(kind):
        drive.run()
    assert drive.waits == []


def test_attempts_are_bounded() -> None:
    drive = Drive([refusal(retry_after="0")] * 9)
    with pytest.raises(Overloaded) as caught:
        drive.run(retries=Retries(refused=3))
    assert len(drive.sent) == 4
    assert caught.value.retry_after_s == 0


def test_a_quota_is_told_from_an_overload() -> None:
    with pytest.raises(QuotaExceeded):
        Drive([refusal(429, "quota_exceeded", retry_after="99")]).run()


def test_a_wait_beyond_the_deadline_is_not_begun() -> None:
    drive = Drive([refusal(retry_after="5")], takes_s=1.0)
    with pytest.raises(Overloaded):
        drive.run(timeout_s=6.0)
    assert drive.waits == []


def test_the_deadline_is_of_all_attempts_together() -> None:
    drive = Drive([refusal(retry_after="1")] * 9, takes_s=2.0)
    with pytest.raises(Overloaded):
        drive.run(timeout_s=8.0)
    assert drive.sent == [8.0, 5.0, 2.0]


def test_no_connection_is_tried_again_as_nothing_was_sent() -> None:
    drive = Drive([NO_ROUTE, httpx.ConnectTimeout("slow"), OK])
    drive.run()
    assert len(drive.sent) == 3


def test_no_connection_at_all() -> None:
    drive = Drive([NO_ROUTE] * 9)
    with pytest.raises(Unreachable):
        drive.run()
    assert len(drive.sent) == 4


def test_a_broken_answer_is_not_asked_again() -> None:
    drive = Drive([DROPPED])
    with pytest.raises(TransportFailed) as caught:
        drive.run()
    assert not isinstance(caught.value, Unreachable)
    assert caught.value.__cause__ is DROPPED


def test_a_broken_answer_is_asked_again_where_that_is_wanted() -> None:
    drive = Drive([DROPPED, OK])
    drive.run(retries=Retries(broken=1))
    assert len(drive.sent) == 2


@pytest.mark.parametrize("reply", [TimeIsUp(), httpx.ReadTimeout("slow")])
def test_time_that_is_up_is_the_end(reply: Reply) -> None:
    with pytest.raises(DeadlinePassed) as caught:
        Drive([reply]).run()
    assert caught.value.status is None


def test_the_request_id_comes_from_the_header_or_the_problem() -> None:
    problem = {"code": "internal_error", "detail": "", "instance": "urn:request:abc"}
    answer = Answer(500, {}, msgspec.json.encode(problem))
    with pytest.raises(ScoringServiceError) as caught:
        Drive([answer]).run()
    assert caught.value.request_id == "abc"
    with pytest.raises(ScoringServiceError) as caught:
        Drive([answer._replace(headers={"x-request-id": "def"})]).run()
    assert caught.value.request_id == "def"


LOADING = b'{"status": "loading", "models": [{"name": "faq", "state": "loading"}]}'


@pytest.mark.parametrize(
    ("kind", "end"), [("application/json", StopIteration), ("text/html", UnexpectedAnswer)]
)
def test_a_loading_service_is_an_answer_and_a_proxy_is_not(kind: str, end: type[Exception]) -> None:
    conversation = converse(ready(), 5.0, Patience(Retries()), FakeClock())
    conversation.send(None)
    with pytest.raises(end) as caught:
        conversation.send(Answer(503, {"content-type": kind}, LOADING))
    if isinstance(caught.value, StopIteration):
        assert not caught.value.value.is_ready


@pytest.mark.parametrize("wrong", [{"refused": -1}, {"first_jitter_s": 9.0}])
def test_retries_that_make_no_sense(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"jitter|retries"):
        Retries(**wrong)  # type: ignore[arg-type]
