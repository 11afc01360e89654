"""Optional dense features: static word vectors, which know words that no training question holds.

The package of the extra `embeddings` carries its weights; nothing is downloaded. A question's
vector is the mean of those of its tokens: a table look-up, no neural network runs.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

WORDLLAMA = "wordllama"
_WORDLLAMA_DIMENSIONS = 256


class EmbeddingsUnavailable(RuntimeError):
    """The package that a model or a setting asks for is not installed, or unknown."""


class Embedder(Protocol):
    """Makes vectors of questions; `name` is what `load_embedder` takes."""

    name: str
    dimensions: int

    def embed(self, questions: Sequence[str]) -> NDArray[np.float32]:
        """Of shape (questions, dimensions), rows of length 1, or 0 for one without a token."""


def load_embedder(name: str) -> Embedder:
    """Raises EmbeddingsUnavailable."""
    if name != WORDLLAMA:
        raise EmbeddingsUnavailable(f"there are no embeddings {name!r}")
    try:
        import wordllama
    except ImportError as error:
        raise EmbeddingsUnavailable(
            f"the embeddings {name!r} need the package {name}: install realtime-scoring[embeddings]"
        ) from error
    # It looks for its own tokenizer in its cache alone, and would fetch it.
    own = Path(wordllama.__file__).parent
    model = wordllama.WordLlama.load(
        dim=_WORDLLAMA_DIMENSIONS, cache_dir=own, disable_download=True
    )
    return _WordLlama(model)


class _WordLlama:
    """Of a question as it is and of the same in lower case, side by side.

    Its vectors know names by their capitals; shouted questions are for the second half.
    """

    name = WORDLLAMA
    dimensions = 2 * _WORDLLAMA_DIMENSIONS

    def __init__(self, model: Any) -> None:
        self._model = model

    def embed(self, questions: Sequence[str]) -> NDArray[np.float32]:
        """See `Embedder.embed`."""
        lower = [question.lower() for question in questions]
        halves = np.hstack([self._means(questions), self._means(lower)])
        unit: NDArray[np.float32] = halves * np.float32(0.5**0.5)
        return unit

    def _means(self, questions: Sequence[str]) -> NDArray[np.float32]:
        """Of length 1. One by one: padding in a batch would change the last bits."""
        vectors = np.zeros((len(questions), _WORDLLAMA_DIMENSIONS), np.float32)
        for row, question in enumerate(questions):
            # The tokenizer takes no lone surrogates.
            text = " ".join(question.split()).encode("utf-8", "replace").decode()
            if text:
                vectors[row] = self._model.embed([text])[0]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: NDArray[np.float32] = vectors / np.maximum(lengths, np.float32(1e-9))
        return unit
