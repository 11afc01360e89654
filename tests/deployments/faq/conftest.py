"""Trained once a session: the embedded corpus' models, and that of Banking77 where it is there."""

import os
from pathlib import Path

import pytest

from deployments.faq.corpus import JAVASCRIPT, Corpus, load_corpus
from deployments.faq.embedding import WORDLLAMA, load_embedder
from deployments.faq.ranker import FaqRanker
from deployments.faq.training import train

_SHARED = Path(__file__).parents[4] / "shared"


@pytest.fixture(scope="session")
def javascript() -> Corpus:
    return load_corpus(JAVASCRIPT)


@pytest.fixture(scope="session")
def javascript_ranker(javascript: Corpus) -> FaqRanker:
    return train(javascript, progress=False)


@pytest.fixture(scope="session")
def indexed_ranker(javascript: Corpus) -> FaqRanker:
    return train(javascript, progress=False, largest_with_margins=10)


@pytest.fixture(scope="session")
def embedding_ranker(javascript: Corpus) -> FaqRanker:
    return train(javascript, progress=False, embedder=load_embedder(WORDLLAMA))


@pytest.fixture(scope="session", params=["javascript_ranker", "indexed_ranker", "embedding_ranker"])
def ranker(request: pytest.FixtureRequest) -> FaqRanker:
    """Of the embedded corpus: scored by a dense matrix, through an index, and with embeddings."""
    trained: FaqRanker = request.getfixturevalue(request.param)
    return trained


@pytest.fixture(scope="session")
def banking77() -> Corpus:
    shared = Path(os.environ.get("SCORING_SHARED_DATA", _SHARED))
    folder = shared / "data" / "faq" / "banking77"
    if not folder.is_dir():
        pytest.skip(f"Banking77 is not at {folder}; SCORING_SHARED_DATA names the shared folder")
    return load_corpus(folder)


@pytest.fixture(scope="session")
def banking77_ranker(banking77: Corpus) -> FaqRanker:
    return train(banking77, progress=False)
