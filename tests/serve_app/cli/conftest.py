"""A corpus on disk, and a registry with two versions of a model trained on it."""

from pathlib import Path

import pytest

from serve_app.cli import main
from tests.deployments.faq.corpora import write_corpus
from tests.deployments.image.conftest import shared_data

__all__ = ["shared_data"]

ROWS = [
    ("A1", "How do I reset my password?", ["forgot password", "new passphrase"], "password lost"),
    ("A2", "Where is my parcel?", ["track my order", "delivery is late"], "parcel tracking"),
    ("A3", "Can I pay by card?", ["credit card payment", "visa accepted"], "pay with visa card"),
]


def table(header: str, rows: list[tuple[str, ...]]) -> str:
    return "".join("\t".join(row) + "\n" for row in [tuple(header.split()), *rows])


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three FAQs with duplicates, held-out questions, and questions out of scope."""
    duplicates = [(answer, text) for answer, _, texts, _ in ROWS for text in texts]
    tables = {
        "questions.tsv": table(
            "Id AnswerId Text", [(f"Q{n}", row[0], row[1]) for n, row in enumerate(ROWS)]
        ),
        "dupes_train.tsv": table(
            "Id AnswerId Text", [(f"D{n}", *row) for n, row in enumerate(duplicates)]
        ),
        "dupes_test.tsv": table(
            "Id AnswerId Text", [(f"T{n}", row[0], row[3]) for n, row in enumerate(ROWS)]
        ),
        "oos_test.tsv": table("Text", [("a cake with cherries",), ("xyzzy",)]),
    }
    return write_corpus(tmp_path_factory.mktemp("corpora") / "shop", tables)


@pytest.fixture(scope="session")
def registered(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose registry has the model `shop`, trained twice; leave that model alone."""
    data = tmp_path_factory.mktemp("data")
    for _ in range(2):
        assert (
            main(["faq", "train", f"faq.corpus={corpus}", f"data_dir={data}", "--name=shop"]) == 0
        )
    return data
