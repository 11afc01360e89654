from pathlib import Path

import pytest

from deployments.faq.corpus import corpus_digest, load_corpus
from deployments.faq.evaluation import evaluate
from deployments.faq.examples import Examples
from deployments.faq.known import KnownQuestions
from deployments.faq.ranker import FaqRanker
from serve_app.cli import main
from serve_app.models import CORPUS_TAG, registry_of
from serve_app.settings import Settings


def test_the_model_is_registered_with_all_that_made_it(registered: Path, corpus: Path) -> None:
    registry = registry_of(Settings(data_dir=registered))
    version = registry.resolve("shop")
    ranker = FaqRanker.load(registry.fetch(version))
    assert version.tags[CORPUS_TAG] == corpus_digest(corpus)
    assert version.metrics == evaluate(ranker, load_corpus(corpus)).metrics()
    assert {"out_of_scope_recall", "auroc"} <= version.metrics.keys()
    parameters = version.parameters
    assert (parameters["corpus"], parameters["faqs"], parameters["duplicates"]) == (
        "shop",
        "3",
        "6",
    )
    assert float(parameters["threshold"]) == ranker.threshold
    libraries = {"python", "numpy", "scipy", "scikit-learn", "realtime-scoring", "seed"}
    assert libraries <= parameters.keys()


def test_pictures_and_known_questions_lie_beside_the_model(registered: Path, corpus: Path) -> None:
    registry = registry_of(Settings(data_dir=registered))
    folder = registry.fetch(registry.resolve("shop"))
    assert (folder / "reliability.png").stat().st_size > 0
    assert (folder / "ranks.png").stat().st_size > 0
    known = KnownQuestions.load(folder)
    assert known is not None
    assert known.questions
    known.check(FaqRanker.load(folder))
    duplicates = Examples.load(folder).duplicates
    assert duplicates == Examples.choose(load_corpus(corpus)).duplicates
    assert duplicates


def test_the_same_corpus_gives_the_same_files(registered: Path) -> None:
    first, second = registry_of(Settings(data_dir=registered)).versions("shop")
    assert first.digest == second.digest


def test_the_table_goes_to_stdout_and_the_rest_to_stderr(
    corpus: Path, registered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Registered under a name of its own: other tests read the versions of `shop`.
    data = f"data_dir={registered}"
    assert main(["faq", "train", "--corpus", str(corpus), "--name", "printed", data]) == 0
    output, progress = capsys.readouterr()
    labels = [line.split("  ")[0] for line in output.splitlines()]
    assert labels == [
        "held-out questions",
        "Accuracy@1",
        "Accuracy@2",
        "Accuracy@3",
        "mean rank",
        "MRR",
        "MAP",
        "expected calibration error",
        "questions kept by the threshold",
        "out-of-scope recall",
        "out-of-scope AUROC",
        "threshold",
    ]
    assert "training printed on shop: 3 FAQs, 6 duplicates" in progress
    assert "registered printed version 1" in progress


def test_a_bad_corpus_is_refused_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "questions.tsv").write_text("Id\tAnswerId\tText\nQ1\tA1\n", encoding="utf-8")
    assert main(["faq", "train", "--corpus", str(tmp_path), f"data_dir={tmp_path / 'data'}"]) == 1
    assert "questions.tsv:2: 2 fields" in capsys.readouterr().err


def test_a_name_that_cannot_be_registered_is_refused_before_training(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = ["--name", "two words", f"data_dir={tmp_path}"]
    assert main(["faq", "train", "--corpus", str(corpus), *name]) == 1
    error = capsys.readouterr().err
    assert "'two words' is no model name" in error
    assert "training" not in error


def test_a_corpus_without_held_out_questions_is_trained_on_and_not_evaluated(
    registered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    questions = "Id\tAnswerId\tText\nQ1\tA1\tHow do I log in?\nQ2\tA2\tWhere is my parcel?\n"
    (tmp_path / "questions.tsv").write_text(questions, encoding="utf-8")
    data = f"data_dir={registered}"
    assert main(["faq", "train", "--corpus", str(tmp_path), "--name", "bare", data]) == 0
    output, progress = capsys.readouterr()
    assert output == ""
    assert "not evaluated" in progress
    version = registry_of(Settings(data_dir=registered)).resolve("bare")
    assert dict(version.metrics) == {}
