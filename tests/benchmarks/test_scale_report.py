"""Tables, goals and files of the scale benchmark."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.report import render, save
from benchmarks.scale import Size
from benchmarks.scale_report import goals, make_report, plot, tables
from benchmarks.scale_serve import Memory, Served
from benchmarks.scale_train import Trained


def measured(faqs: int, p50_ms: float, size_mb: float) -> Size:
    return Size(
        Trained("synthetic", faqs, 2 * faqs, 0.5, 1234.5, 1.0, 100.0, 2048.4, size_mb, None),
        Served(
            load_s=0.25,
            questions=500,
            p50_ms=p50_ms,
            p95_ms=2 * p50_ms,
            p99_ms=3 * p50_ms,
            batch_ms=None,
            accuracy_at_1=0.9,
            compared=200,
            recall_at_10=0.9985,
            undecided=0.01,
            memory=(
                Memory(40, 35, 30, 10, 20),
                Memory(1090.4, 1080, 1070, 20, 30),
                Memory(1140, 1130, 1110, 30, 60),
            ),
        ),
        alone=Memory(1140, 1100, 1090, 50, 60),
        together=(Memory(1140, 600, 70, 1070, 60), Memory(1150, 610, 80, 1070, 70)),
    )


BANKING77 = replace(
    measured(77, 0.2, 8.0),
    trained=replace(measured(77, 0.2, 8.0).trained, source="Banking77", analysis_p50_ms=0.79),
    served=replace(measured(77, 0.2, 8.0).served, batch_ms=0.05, recall_at_10=1.0),
)
MILLION = measured(1_000_000, 61.0, 3_500.0)


def test_every_size_has_its_own_goals() -> None:
    found = goals([BANKING77, measured(500, 0.3, 9.0), MILLION])
    assert [(goal.text, goal.wanted, goal.met) for goal in found] == [
        ("77 FAQs: p50 of one question, ms", 0.5, True),
        ("77 FAQs: a question in batches of 64, ms", 0.1, True),
        ("77 FAQs: load, s", 1.0, True),
        ("77 FAQs: recall of the ten best by exhaustive scoring", 0.999, True),
        ("500 FAQs: recall of the ten best by exhaustive scoring", 0.999, False),
        ("1,000,000 FAQs: p50 of one question, ms", 60.0, False),
        ("1,000,000 FAQs: on disk, MB", 4_000.0, True),
        ("1,000,000 FAQs: recall of the ten best by exhaustive scoring", 0.999, False),
    ]


def test_tables_have_a_row_for_each_size() -> None:
    speed, _, memory = tables([BANKING77, MILLION]).split("\n\n")
    row = "| 1,000,000 | 2,000,000 | 1,234.5 | 2,048 | 3,500.0 | 0.25 | 61.00 | 122.00 | 183.00 |"
    assert speed.splitlines()[-1] == f"{row} - | 0.9985 | 0.900 |"
    assert "| 0.050 | 1.0000 |" in speed.splitlines()[2]
    growth = "+1,050 / +1,045 / +1,040 / +10 | +1,100 / +1,095 / +1,080 / +20"
    processes = "1,140 / 1,100 / 1,090 / 50 | 2,290 / 1,210 / 150 / 2,140"
    assert memory.splitlines()[-1] == f"| 1,000,000 | {growth} | {processes} |"
    assert len({line.count("|") for line in speed.splitlines()}) == 1


def test_a_report_says_what_was_measured_on_what(tmp_path: Path) -> None:
    report = make_report([BANKING77, MILLION], ["5 FAQs: failed"], "python -m benchmarks scale")
    text = render(report)
    assert "77 FAQs: Banking77, 154 duplicates to train on, 500 held-out questions" in text
    assert "TfidfVectorizers alone take 0.79 ms" in text
    assert "not measured: 5 FAQs: failed" in text
    (data,) = save(report, tmp_path)
    sizes = json.loads(data.read_text())["figures"]["sizes"]
    assert [size["trained"]["faqs"] for size in sizes] == [77, 1_000_000]
    assert sizes[1]["served"]["memory"][2]["rss"] == 1140


@pytest.mark.parametrize("sizes", [[BANKING77], [MILLION, BANKING77]])
def test_the_plot_is_a_picture(sizes: list[Size], tmp_path: Path) -> None:
    target = tmp_path / "scale.png"
    plot(sizes, target)
    assert target.read_bytes().startswith(b"\x89PNG")
