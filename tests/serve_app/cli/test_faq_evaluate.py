from pathlib import Path

import pytest

from deployments.registry import folder_digest
from serve_app.cli import main
from serve_app.models import registry_of
from serve_app.settings import Settings


@pytest.mark.parametrize("model", ["shop", "shop@champion", "shop@1"])
def test_prints_what_training_printed(
    model: str, corpus: Path, registered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(
            ["faq", "evaluate", "--model", model, "--corpus", str(corpus), f"data_dir={registered}"]
        )
        == 0
    )
    title, *lines = capsys.readouterr().out.splitlines()
    assert title == f"shop version {'1' if model == 'shop@1' else '2'} on shop"
    metrics = registry_of(Settings(data_dir=registered)).resolve("shop").metrics
    figures = dict(line.rsplit(maxsplit=1) for line in lines)
    assert float(figures["MRR"]) == pytest.approx(metrics["mrr"], abs=1e-4)
    assert figures["held-out questions"] == "3"


def test_without_a_model_it_is_the_one_of_the_settings(
    corpus: Path, registered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [f"data_dir={registered}", f"faq.corpus={corpus}", "faq.model=shop"]
    assert main(["faq", "evaluate", *settings]) == 0
    assert capsys.readouterr().out.startswith("shop version 2 on shop\n")


def test_the_default_corpus_is_the_embedded_one(
    registered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["faq", "evaluate", "--model", "shop", f"data_dir={registered}"]) == 1
    assert "javascript: the model does not know the AnswerId" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("none", "no version of the model 'none' has the alias 'champion'"),
        ("shop@beta", "no version of the model 'shop' has the alias 'beta'"),
        ("shop@9", "the model 'shop' has no version '9'"),
        ("shop@", "'' is no alias"),
        ("@champion", "'' is no model name"),
        ("shop@v1", "'v1' is no alias"),
    ],
)
def test_unknown_models_are_refused(
    model: str, error: str, corpus: Path, registered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(
            ["faq", "evaluate", "--model", model, "--corpus", str(corpus), f"data_dir={registered}"]
        )
        == 1
    )
    assert error in capsys.readouterr().err


def test_a_model_whose_files_were_changed_is_refused(
    corpus: Path, registered: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = f"data_dir={registered}"
    assert main(["faq", "train", "--corpus", str(corpus), "--name", "changed", data]) == 0
    registry = registry_of(Settings(data_dir=registered))
    folder = registry.fetch(registry.resolve("changed"))
    (folder / "bias.npy").write_bytes(b"other")
    capsys.readouterr()
    assert main(["faq", "evaluate", "--model", "changed", "--corpus", str(corpus), data]) == 1
    assert folder_digest(folder) in capsys.readouterr().err
