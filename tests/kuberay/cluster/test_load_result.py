"""What is made of a load's log, and of its failures."""

import json
from typing import Any

import pytest

from tests.kuberay.cluster.load_result import LoadResult, NoResult, allowed_under_way, parse


def log(errors: int = 0, refused: int = 0, at_s: float = 100.0, **changed: Any) -> str:
    total = {"sent": 50, "refused": refused, "errors": errors, "answered": 50 - errors - refused}
    figures = {
        "total": {**total, "seconds": 5.0, "latency_ms": {"p99": 7.0, "max": 9.0}, **changed},
        "retries": 1,
        "failures": [{"at_unix_s": at_s, "kind": "status 502"}] * errors,
    }
    return f"a bar\r\nerrors: none\n{json.dumps(figures)}\n"


def test_the_last_line_that_is_json_counts() -> None:
    result = parse(log() + "ended early by a signal\n")
    assert (result.sent, result.answered, result.lost, result.p99_ms) == (50, 50, 0, 7.0)
    result.expect_nothing_lost("a quiet day")


@pytest.mark.parametrize("text", ["", "scoring: unreachable\n", "{broken\n", '{"total": {}}\n'])
def test_a_log_without_figures_is_said_to_be_one(text: str) -> None:
    with pytest.raises(NoResult):
        parse(text)


@pytest.mark.parametrize("text", [log(errors=1), log(refused=1)])
def test_failures_and_refusals_are_lost(text: str) -> None:
    with pytest.raises(AssertionError, match="requests were lost"):
        parse(text).expect_nothing_lost("a storm")


@pytest.mark.parametrize("text", [log(answered=0, sent=0), log(answered=49)])
def test_no_load_is_no_proof(text: str) -> None:
    with pytest.raises(AssertionError, match="there was no load"):
        parse(text).expect_nothing_lost("silence")


def test_what_a_killed_process_had_under_way_may_be_lost() -> None:
    result = parse(log(errors=3))
    result.expect_lost_under_way_only("a kill", 99.0, rate=20)
    assert "3 x status 502" in str(result)


def test_what_failed_before_the_kill_was_not_under_way() -> None:
    with pytest.raises(AssertionError, match="before the kill"):
        parse(log(errors=1)).expect_lost_under_way_only("a kill", 200.0, rate=20)


def test_more_than_was_under_way_is_too_much() -> None:
    lost = allowed_under_way(20) + 1
    with pytest.raises(AssertionError, match="more were lost"):
        parse(log(errors=lost)).expect_lost_under_way_only("a kill", 99.0, rate=20)


def test_a_run_without_an_answer_has_no_latency() -> None:
    text = log(errors=50, answered=0, latency_ms=None)
    assert isinstance(parse(text), LoadResult)
