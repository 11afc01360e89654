"""The figures, goals and plot of an overload."""

import math
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from benchmarks.image_plots import draw_ramp
from benchmarks.open_loop import Arrival, Step
from benchmarks.ramp import Look, StepFigures, goals, summarise_step
from benchmarks.report import Report
from benchmarks.scrape import Inference

LOOK = Look(10.0, 500.0, Inference())


def arrival(
    status: int | None,
    latency_s: float,
    *,
    retry_after: str | None = None,
    fault: str | None = None,
) -> Arrival:
    return Arrival(
        0, 0, 0.0, status=status, latency_s=latency_s, retry_after=retry_after, fault=fault
    )


def step(arrivals: list[Arrival], load: float = 1.0) -> StepFigures:
    return summarise_step(load, Step(4.0, 2.0), arrivals, 0.5, LOOK)


def figures(load: float, at_s: float, memory_mib: float, p99_ms: float = 900.0) -> StepFigures:
    found = step([arrival(200, 0.5)], load)
    return replace(found, at_s=at_s, memory_mib=memory_mib, p99_ms=p99_ms)


def test_answers_are_told_apart() -> None:
    found = step(
        [
            arrival(200, 0.5),
            arrival(200, 0.7),
            arrival(429, 0.010, retry_after="1"),
            arrival(429, 0.030),
            arrival(503, 0.1),
            arrival(None, 0.0, fault="hung"),
            arrival(None, 0.0, fault="connection dropped"),
        ]
    )
    assert (found.offered_per_s, found.accepted_per_s) == (3.5, 1.0)
    assert found.p50_ms == pytest.approx(600)
    assert (found.refused, found.without_retry_after, found.hung) == (2, 1, 1)
    assert found.refused_share == pytest.approx(2 / 7)
    assert found.refused_max_ms == pytest.approx(30)
    assert found.failed == {"status 503": 1, "connection dropped": 1}
    assert found.batch_ms == 500


def test_a_step_without_refusals_has_no_latency_of_them() -> None:
    assert math.isnan(step([arrival(200, 0.5)]).refused_p99_ms)


def test_goals_take_the_worst_step_and_the_memory_after_the_first_minute() -> None:
    steps = [
        figures(0.5, 30, 300),
        figures(1.0, 60, 500, p99_ms=1400),
        figures(2.0, 90, 510, p99_ms=1200),
    ]
    accepted, refused, silent, hung, memory = goals(steps, [10.0, 20.0])
    assert accepted.measured == pytest.approx(1400 / 500)
    assert refused.measured == pytest.approx(19.9)
    assert (silent.measured, hung.measured) == (0, 0)
    assert memory.measured == pytest.approx(510 / 500)
    assert all(goal.met for goal in (accepted, refused, silent, hung, memory))


def test_goals_are_plain_numbers_that_json_takes() -> None:
    found = goals([figures(1.0, 5, 500), figures(2.0, 10, 500)], [10.0])
    assert {type(goal.measured) for goal in found} <= {float, int}
    assert {type(goal.met) for goal in found} == {bool}


def test_a_ramp_too_short_to_settle_shows_no_flat_memory() -> None:
    memory = goals([figures(1.0, 5, 500), figures(2.0, 10, 500)], [])[-1]
    assert math.isnan(memory.measured)
    assert not memory.met


def test_the_ramp_is_drawn(tmp_path: Path) -> None:
    steps = [asdict(figures(1.0, 30, 500)), asdict(figures(2.0, 60, 505))]
    report = Report("ramp", "command", figures={"steps": steps})
    (target,) = draw_ramp(report, tmp_path)
    assert target.name == "images_ramp.png"
    assert target.read_bytes().startswith(b"\x89PNG")
    assert draw_ramp(Report("ramp", "command"), tmp_path) == []
