"""Medians, ratios, goals, and the files that a report becomes."""

import json
import math
from pathlib import Path

import pytest

from benchmarks.faq import goals
from benchmarks.report import Goal, Measurement, Report, best, render, save, summarise


def measured(
    name: str, family: str, rate: float, connections: int = 16, errors: int = 0
) -> Measurement:
    return Measurement(name, family, connections, rate, 1000 / rate, 3000 / rate, errors)


ROUNDS = [
    measured("this application", "application", 2000),
    measured("LitServe", "LitServe", 900),
    measured("this application", "application", 4000),
    measured("LitServe", "LitServe", 1100),
    measured("this application", "application", 2200),
    measured("LitServe", "LitServe", 1000),
]


def test_rows_are_medians_over_rounds_in_order_of_appearance() -> None:
    own, peer = summarise(ROUNDS)
    assert (own.name, own.rounds, own.requests_per_s, own.ratio) == ("this application", 3, 2200, 1)
    assert peer.requests_per_s == 1000
    assert peer.p50_ms == 1.0
    assert peer.ratio == pytest.approx(1000 / 2200)


def test_errors_of_all_rounds_count() -> None:
    rows = summarise([measured("a", "a", 10, errors=1), measured("a", "a", 10, errors=2)])
    assert rows[0].errors == 3


def test_a_ratio_is_to_the_application_at_as_many_connections() -> None:
    rows = summarise(
        [
            measured("this application", "application", 2000, 16),
            measured("this application", "application", 500, 1),
            measured("peer", "peer", 250, 1),
            measured("loop", "PyTorch", 1000, 0),
        ]
    )
    assert [row.ratio for row in rows] == [1, 1, 0.5, 0.5]


def test_without_the_application_there_is_no_ratio() -> None:
    (row,) = summarise([measured("peer", "peer", 10)])
    assert math.isnan(row.ratio)
    assert "| peer | 16 | 10.0 | 100 | 300 | 0 | - |" in render(Report("faq", "x", rows=(row,)))


def test_the_best_variant_counts_and_one_with_errors_does_not() -> None:
    rows = summarise(
        [
            measured("plain", "peer", 900),
            measured("batched", "peer", 1200),
            measured("wrong", "peer", 5000, errors=1),
            Measurement("silent", "other", 16, 0.0, math.nan, math.nan, 0),
        ]
    )
    found = best(rows, "peer", 16)
    assert found is not None
    assert found.name == "batched"
    assert best(rows, "peer", 1) is None
    assert best(rows, "other", 16) is None


def test_question_goals_use_the_best_of_each_peer() -> None:
    rows = summarise(
        [
            measured("this application", "application", 3000),
            measured("this application", "application", 500, 1),
            measured("uvicorn", "uvicorn", 2000),
            measured("LitServe", "LitServe", 1000),
            measured("LitServe batched", "LitServe", 1200),
            measured("BentoML", "BentoML", 500),
            measured("MLServer", "MLServer", 900),
        ]
    )
    frameworks, plain, single = goals(rows, 16, alone_ms=0.5)
    assert frameworks.measured == pytest.approx(2.5)
    assert plain.measured == pytest.approx(1.5)
    assert single.measured == pytest.approx(1.5)
    assert [goal.met for goal in (frameworks, plain, single)] == [True, True, False]


def test_a_goal_is_not_met_while_a_peer_is_missing() -> None:
    rows = summarise(
        [
            measured("this application", "application", 3000),
            measured("LitServe", "LitServe", 1000),
        ]
    )
    frameworks = goals(rows, 16, alone_ms=0.5)[0]
    assert math.isnan(frameworks.measured)
    assert not frameworks.met


def test_a_report_is_saved_as_strict_json_and_a_picture(tmp_path: Path) -> None:
    report = Report(
        scenario="faq",
        command="python -m benchmarks faq",
        rows=summarise([*ROUNDS, Measurement("dead", "dead", 16, 0.0, math.nan, math.nan, 7)]),
        goals=(Goal("speed", 2.0, math.nan, True),),
        failures=("peer: no such package",),
    )
    data, picture = save(report, tmp_path / "new")
    content = json.loads(data.read_text())
    assert content["rows"][2]["p50_ms"] is None
    assert content["goals"] == [
        {"text": "speed", "wanted": 2.0, "measured": None, "at_least": True, "met": False}
    ]
    assert content["machine"]["cores"] >= 1
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_what_was_not_measured_is_said() -> None:
    text = render(Report("faq", "command", failures=("MLServer: it did not start",)))
    assert "not measured: MLServer: it did not start" in text
