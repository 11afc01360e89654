import json
from pathlib import Path

import numpy as np
import pytest

from deployments.faq.corpus import Corpus, CorpusError
from deployments.faq.embedding import WORDLLAMA, Embedder, EmbeddingsUnavailable, load_embedder
from deployments.faq.evaluation import evaluate
from deployments.faq.ranker import FaqRanker, RankerFormatError
from deployments.faq.training import train
from tests.deployments.faq.corpora import make_corpus

QUESTIONS = [
    "Where is my parcel?",
    "where is MY parcel",
    "",
    "  ",
    "\ud800",
    "\u4f60\u597d",
    "x" * 8192,
]


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return load_embedder(WORDLLAMA)


def test_vectors_have_length_1_or_0(embedder: Embedder) -> None:
    vectors = embedder.embed(QUESTIONS)
    assert vectors.shape == (len(QUESTIONS), embedder.dimensions)
    assert vectors.dtype == np.float32
    lengths = np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(lengths, [1, 1, 0, 0, 1, 1, 1], atol=1e-5)


def test_a_vector_depends_on_its_question_alone(embedder: Embedder) -> None:
    together = embedder.embed(QUESTIONS)
    alone = np.concatenate([embedder.embed([question]) for question in QUESTIONS])
    assert np.array_equal(together, alone)


def test_what_means_the_same_is_near(embedder: Embedder) -> None:
    package, parcel, password = embedder.embed(["lost package", "missing parcel", "new password"])
    assert package @ parcel > package @ password + 0.1


def test_embeddings_of_another_name_are_refused() -> None:
    with pytest.raises(EmbeddingsUnavailable, match="no embeddings 'others'"):
        load_embedder("others")


def test_embeddings_help_on_the_embedded_corpus(
    javascript: Corpus, javascript_ranker: FaqRanker, embedding_ranker: FaqRanker
) -> None:
    without, with_them = (
        evaluate(each, javascript).mrr for each in (javascript_ranker, embedding_ranker)
    )
    assert with_them > without


def test_a_stored_model_names_its_embeddings(embedding_ranker: FaqRanker, tmp_path: Path) -> None:
    embedding_ranker.save(tmp_path)
    place = tmp_path / "model.json"
    description = json.loads(place.read_text())
    assert description["embeddings"] == WORDLLAMA
    for name, message in (("others", "no embeddings"), (None, "embeddings None")):
        place.write_text(json.dumps({**description, "embeddings": name}))
        with pytest.raises(RankerFormatError, match=message):
            FaqRanker.load(tmp_path)


@pytest.mark.parametrize("name", ["kernel_texts", "coefficients"])
def test_refuses_a_kernel_of_another_shape(
    embedding_ranker: FaqRanker, tmp_path: Path, name: str
) -> None:
    embedding_ranker.save(tmp_path)
    array = np.load(tmp_path / f"{name}.npy")
    np.save(tmp_path / f"{name}.npy", array[:, 1:])
    with pytest.raises(RankerFormatError, match=name):
        FaqRanker.load(tmp_path)


def test_a_corpus_for_an_index_takes_no_embeddings(embedder: Embedder) -> None:
    corpus = make_corpus([f"question {number}" for number in range(20)], {})
    with pytest.raises(CorpusError, match="embeddings take up to 10 FAQs"):
        train(corpus, progress=False, largest_with_margins=10, embedder=embedder)
