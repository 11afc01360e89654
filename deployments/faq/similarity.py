"""How alike a question and each FAQ are, in seven ways, all linear in the question's features.

For words and for characters: the cosine to the original, to the centroid of the original and its
duplicates, and to the answer; and the margin of a linear SVM, one FAQ against the rest. Because
they are linear, their weighted sum folds into one matrix and scoring costs one product.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack, vstack
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

_PENALTY = 0.5
_TOLERANCE = 0.05


@dataclass(frozen=True)
class Known:
    """The features of all that is known, in rows; the first `words` columns are those of words.

    Of each FAQ an original and an answer, empty where it has none. Of each duplicate its FAQ
    (`labels`); an FAQ may have none.
    """

    words: int
    originals: csr_array
    answers: csr_array
    duplicates: csr_array
    labels: NDArray[np.int64]

    def only(self, chosen: NDArray[np.bool_]) -> "Known":
        """The same with the `chosen` duplicates alone."""
        return replace(self, duplicates=self.duplicates[chosen], labels=self.labels[chosen])


@dataclass(frozen=True)
class Similarity:
    """Fitted on what is known; `words` is the number of word features.

    Questions have cosines to `originals`, `centroids` and `answers`, of shape (FAQs, features).
    The SVM's `directions` have the shape (features, FAQs).
    """

    words: int
    originals: csr_array
    centroids: csr_array
    answers: csr_array
    directions: NDArray[np.float64]
    intercepts: NDArray[np.float64]

    @classmethod
    def fit(cls, known: Known, seed: int) -> "Similarity":
        """Deterministic for a given `seed`."""
        count = known.originals.shape[0]
        examples = vstack([known.originals, known.duplicates], format="csr")
        faqs = np.concatenate([np.arange(count), known.labels])
        svm = _fit_svm(examples, faqs, seed)
        return cls(
            known.words,
            known.originals,
            _centroids(known.words, examples, faqs),
            known.answers,
            svm.coef_[:count].T,
            svm.intercept_[:count],
        )

    def compare(self, questions: csr_array) -> NDArray[np.float32]:
        """The similarities, of shape (questions, FAQs, 7)."""
        margins = questions @ self.directions + self.intercepts
        cosines = [
            (questions[:, block] @ texts[:, block].T).toarray() for block, texts in self._cosines()
        ]
        return np.stack([*cosines, margins], axis=2).astype(np.float32)

    def fold(self, weights: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Matrix (features, FAQs) and bias (FAQs,) of the sum of the similarities by `weights`."""
        folded = self.directions * weights[-1]
        for weight, (block, texts) in zip(weights[:-1], self._cosines(), strict=True):
            folded[block] += texts[:, block].T.toarray() * weight
        return folded.astype(np.float32), (self.intercepts * weights[-1]).astype(np.float32)

    def _cosines(self) -> Iterator[tuple[slice, csr_array]]:
        """Block of columns and texts for each cosine, in the order of the weights."""
        for block in (slice(0, self.words), slice(self.words, None)):
            for texts in (self.originals, self.centroids, self.answers):
                yield block, texts


def _fit_svm(examples: csr_array, faqs: NDArray[np.int64], seed: int) -> LinearSVC:
    """With a last class, an empty text: against it even the only two FAQs have separate margins."""
    nothing = csr_array((1, examples.shape[1]))
    svm = LinearSVC(C=_PENALTY, tol=_TOLERANCE, random_state=seed)
    with warnings.catch_warnings():
        # FAQs with hardly a duplicate make a class of almost every example, as they should.
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        return svm.fit(vstack([examples, nothing], format="csr"), np.append(faqs, faqs.max() + 1))


def _centroids(words: int, examples: csr_array, faqs: NDArray[np.int64]) -> csr_array:
    members = csr_array((np.ones(len(faqs)), (faqs, np.arange(len(faqs)))))
    sums = members @ examples
    centroids: csr_array = hstack(
        [normalize(sums[:, :words]), normalize(sums[:, words:])], format="csr"
    )
    return centroids
