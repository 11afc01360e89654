"""Figures of requests whose fate is known."""

import math
from pathlib import Path

import pytest

from serve_app.load.objectives import parse_objective
from serve_app.load.plan import plan
from serve_app.load.plot import save_plot
from serve_app.load.record import MOST_FAILURES, Record
from serve_app.load.report import objective_rows, table_rows, to_json
from serve_app.load.traffic import Exchange, Step


def recorded() -> Record:
    """A warm-up and two steps of 2 s: 100 answers of 1 to 100 ms, one 429 and two errors."""
    record = Record([Step(5, 1), Step(10, 2), Step(20, 2)], warm_up_steps=1)
    for number, at_s in enumerate([50.0, 51.0, 53.0, 55.0]):
        record.begin(number, at_s)
    record.note(Exchange(0, 0, 50.5, status=200, latency_s=9.0), b"warm")
    for number in range(100):
        due_s = 51.0 + 0.04 * number
        step = 1 if due_s < 53 else 2
        record.note(Exchange(step, 0, due_s, 200, (number + 1) / 1000), b"yes")
    record.note(Exchange(2, 0, 54.0, 429, 0.001, "1"), b"no")
    record.note(Exchange(2, 0, 54.0, 200, 0.001), b"")
    record.note(Exchange(2, 0, 54.0, fault="hung", latency_s=1.0), b"")
    return record


def test_the_total_leaves_the_warm_up_out() -> None:
    total = recorded().total()
    assert (total.sent, total.answered, total.refused, total.errors) == (103, 100, 1, 2)
    assert total.seconds == 4.0
    assert total.rate_per_s == 25.0
    assert total.latency_ms is not None
    assert total.latency_ms["p50"] == pytest.approx(50.5)
    assert total.latency_ms["max"] == pytest.approx(100)
    assert total.error_share == pytest.approx(2 / 103)
    assert total.load is None


def test_steps_have_figures_of_their_own() -> None:
    first, second = recorded().by_step()
    assert (first.load, first.answered, first.errors) == (10, 50, 0)
    assert (second.load, second.answered, second.refused, second.errors) == (20, 50, 1, 2)
    assert first.latency_ms is not None
    assert first.latency_ms["max"] == pytest.approx(50)


def test_errors_are_named() -> None:
    assert recorded().kinds == {"empty body": 1, "hung": 1}


def test_each_failure_has_its_moment() -> None:
    content = to_json(recorded(), [], {}, unix_at_zero_s=1_000_000.0)
    assert isinstance(content, dict)
    assert content["failures"] == [
        {"at_unix_s": 1_000_054.001, "kind": "empty body"},
        {"at_unix_s": 1_000_055.0, "kind": "hung"},
    ]


def test_failures_beyond_the_first_are_counted_only() -> None:
    record = Record([Step(1, 1)])
    for _ in range(MOST_FAILURES + 5):
        record.note(Exchange(0, 0, 1.0, fault="hung", retries=2), b"")
    assert len(record.failures) == MOST_FAILURES
    assert record.kinds["hung"] == MOST_FAILURES + 5
    assert record.retries == 2 * (MOST_FAILURES + 5)


def test_a_record_that_was_cut_short_has_the_steps_that_began() -> None:
    record = Record([Step(1, 2), Step(2, 2)])
    assert math.isnan(record.latest_ms())
    assert record.by_step() == []
    record.begin(0, 1.0)
    record.note(Exchange(0, 0, 1.1, 200, 0.5), b"yes")
    record.begin(2, 2.0)
    (step,) = record.by_step()
    assert (step.seconds, step.answered) == (1.0, 1)
    assert record.latest_ms() == pytest.approx(500)


def test_the_table_and_the_json_say_the_same() -> None:
    record = recorded()
    objectives = [parse_objective("p99<50ms"), parse_objective("rate>1/s")]
    rows = table_rows(record, "requests/s")
    assert [row[0] for row in rows] == ["", "10 requests/s", "20 requests/s", "all"]
    assert rows[-1][1] == "103"
    verdicts = [row[2] for row in objective_rows(objectives, record.total())]
    assert verdicts == ["", "MISSED", "met"]
    content = to_json(record, objectives, {"loop": "open"})
    assert isinstance(content, dict)
    assert content["loop"] == "open"
    assert [each["met"] for each in content["objectives"]] == [False, True]
    assert content["total"]["answered"] == 100


@pytest.mark.parametrize("name", ["plot.png", "plot.svg", "plot.pdf"])
def test_the_plot(name: str, tmp_path: Path) -> None:
    save_plot(recorded(), tmp_path / name, unit="requests/s")
    assert (tmp_path / name).stat().st_size > 5000


def test_the_plot_of_nothing(tmp_path: Path) -> None:
    save_plot(Record([Step(1, 1)]), tmp_path / "plot.png", unit="requests/s")
    assert (tmp_path / "plot.png").exists()


def test_a_ramp_climbs_in_equal_steps_after_the_warm_up() -> None:
    found = plan("open", (10, 50), steps=5, seconds=10, warm_up_s=1)
    assert [step.load for step in found.steps] == [10, 10, 20, 30, 40, 50]
    assert [step.duration_s for step in found.steps] == [1, 2, 2, 2, 2, 2]
    assert (found.warm_up_steps, found.seconds, found.unit) == (1, 11, "requests/s")


def test_connections_are_whole_and_one_load_is_one_step() -> None:
    found = plan("closed", (1, 4), steps=3, seconds=3, warm_up_s=0)
    assert [step.load for step in found.steps] == [1, 2, 4]
    assert len(plan("closed", (4, 4), steps=3, seconds=3, warm_up_s=0).steps) == 1


@pytest.mark.parametrize("loads", [(0, 1), (1, -1), (3, 2)])
def test_loads_that_cannot_be(loads: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"above 0|become more"):
        plan("closed", loads, steps=2, seconds=1, warm_up_s=0)
