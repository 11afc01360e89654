"""Each size is measured in processes of its own, which leave nothing behind."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.environments import ROOT
from benchmarks.scale import measure, parse_sizes


def test_a_size_is_measured_and_one_that_fails_is_named(tmp_path: Path) -> None:
    work = tmp_path / "work"
    (size,), failures = measure([40, 1], work)
    assert failures == ["1 FAQs: scale_train ended with exit status 1"]
    assert list(work.iterdir()) == []
    trained, served = size.trained, size.served
    assert (trained.source, trained.faqs, trained.duplicates) == ("synthetic", 40, 40)
    assert trained.peak_mib > trained.corpus_mib > 0
    assert trained.size_mb > 0
    assert trained.analysis_p50_ms is None
    assert (served.questions, served.compared) == (500, 500)
    assert 0 < served.p50_ms <= served.p95_ms <= served.p99_ms
    assert served.batch_ms is not None
    assert served.accuracy_at_1 > 0.5
    assert served.recall_at_10 == 1
    assert [each.rss for each in served.memory] == sorted(each.rss for each in served.memory)
    # What they share is counted once.
    assert sum(each.pss for each in size.together) < sum(each.rss for each in size.together)


def test_what_serves_imports_nothing_of_training() -> None:
    script = "import sys, benchmarks.scale_serve; print('sklearn' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_sizes_are_numbers_with_commas() -> None:
    assert parse_sizes("77") == (77,)
    assert parse_sizes("77,10000, 2") == (77, 10_000, 2)


@pytest.mark.parametrize("text", ["", "1", "77,", "77,-5", "1e6", "all"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="not a list of numbers of at least 2"):
        parse_sizes(text)
