from pathlib import Path

import numpy as np
import pytest

from deployments.faq.comparison import compare
from serve_app.cli import main
from serve_app.cli.faq_compare import table, verdict
from tests.deployments.faq.test_evaluation import outcomes


def test_compares_two_versions(
    corpus: Path, registered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--corpus", str(corpus), f"data_dir={registered}"]
    assert main(["faq", "compare", "shop@1", "shop@champion", *options]) == 0
    output = capsys.readouterr().out
    assert output.startswith("A = shop@1, B = shop@champion: 3 questions of shop\n")
    # Both were trained on the same corpus.
    assert output.count("do not tell which model is better") == 2
    assert "+0.0000 .. +0.0000" in output


def test_the_table_has_both_figures_and_the_interval() -> None:
    header, first, *_ = table(compare(outcomes([1, 2] * 10), outcomes([1, 1] * 10))).splitlines()
    assert header.split() == ["A", "B", "B", "-", "A", "95", "%", "interval"]
    label, a, b, difference, low, dots, high = first.split()
    assert (label, a, b, difference, dots) == ("Accuracy@1", "0.5000", "1.0000", "+0.5000", "..")
    assert 0 < float(low) < 0.5 < float(high) < 1


def test_the_verdict_names_the_better_model() -> None:
    rng = np.random.default_rng(0)
    good, bad = outcomes([1] * 50), outcomes(rng.integers(2, 5, 50).tolist())
    assert verdict(compare(bad, good)).count("B is better") == 2
    assert verdict(compare(good, bad)).count("A is better") == 2
    assert "only A is right for 50, only B for 0; p < 0.0001" in verdict(compare(good, bad))


def test_a_model_that_does_not_know_the_faqs_is_refused(
    corpus: Path, registered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in corpus.iterdir():
        text = path.read_text(encoding="utf-8").replace("\tA3\t", "\tA4\t")
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    options = ["--corpus", str(tmp_path), f"data_dir={registered}"]
    assert main(["faq", "compare", "shop@2", "shop@1", *options]) == 1
    assert "shop@2: " in (error := capsys.readouterr().err)
    assert "does not know the AnswerId 'A4'" in error
