"""How alike a question and each FAQ are, in up to eight ways.

For words and for characters: the cosine to the original, to the centroid of the original and its
duplicates, and to the answer; and the margin of a linear SVM, one FAQ against the rest, which sees
pairs of words as well. Because these are linear in a question's features, their weighted sum folds
into one weight for each feature and FAQ, and scoring costs one product. Margins need a dense row of
weights for each FAQ: corpora of very many FAQs do without. Where there are embeddings, a kernel
over them is the eighth.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack
from sklearn.kernel_ridge import KernelRidge
from sklearn.svm import LinearSVC

from deployments.faq.index import IndexedScores, Weights
from deployments.faq.kernel import DEGREE, Kernel, KernelScores
from deployments.faq.scores import DenseScores, Scores

COSINES = 6
MARGIN, KERNEL = 6, 7
"""The places of margin and kernel among the similarities, behind the cosines."""

_PENALTY = 0.5
_TOLERANCE = 0.05
_RIDGE = 0.1
_BLOCK_ROWS = 1 << 14


@dataclass(frozen=True)
class Known:
    """The features of all that is known, in rows.

    Columns are words up to `first_character`, characters up to `first_pair`, pairs up to
    `first_embedding`, and then dense features where there are embeddings. Of each FAQ an original
    and an answer, empty where it has none. Of each duplicate its FAQ (`labels`); an FAQ may have
    none. `strangers` are questions that match nothing.
    """

    first_character: int
    first_pair: int
    first_embedding: int
    originals: csr_array
    answers: csr_array
    duplicates: csr_array
    labels: NDArray[np.int64]
    strangers: csr_array

    @property
    def has_embeddings(self) -> bool:
        """Whether there are dense features."""
        return self.first_embedding < self.originals.shape[1]

    def only(
        self, duplicates: NDArray[np.bool_], strangers: NDArray[np.bool_] | None = None
    ) -> "Known":
        """The same with the chosen duplicates and strangers (by default all of these) alone."""
        return replace(
            self,
            duplicates=self.duplicates[duplicates],
            labels=self.labels[duplicates],
            strangers=self.strangers if strangers is None else self.strangers[strangers],
        )


@dataclass(frozen=True)
class Margins:
    """Of a linear SVM: `directions` (features, FAQs) and `intercepts` (FAQs,)."""

    directions: NDArray[np.float64]
    intercepts: NDArray[np.float64]

    @classmethod
    def fit(cls, known: Known, seed: int) -> "Margins":
        """One FAQ against the rest; the last class is what matches nothing, an empty text too.

        Against it even the only two FAQs have separate margins.
        """
        count = known.originals.shape[0]
        nothing = csr_array((1, known.originals.shape[1]))
        examples = [known.originals, known.duplicates, known.strangers, nothing]
        classes = np.concatenate(
            [np.arange(count), known.labels, np.full(known.strangers.shape[0] + 1, count)]
        )
        svm = LinearSVC(C=_PENALTY, tol=_TOLERANCE, random_state=seed)
        with warnings.catch_warnings():
            # FAQs with hardly a duplicate make a class of almost every example, as they should.
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            ngrams = vstack(examples, format="csr")[:, : known.first_embedding]
            svm.fit(ngrams.astype(np.float64), classes)
        return cls(svm.coef_[:count].T, svm.intercept_[:count])


def fit_kernel(known: Known) -> Kernel:
    """One FAQ against the rest, over all that is known but answers."""
    examples = vstack([known.originals, known.duplicates, known.strangers], format="csr")
    texts = examples[:, known.first_embedding :].toarray()
    count = known.originals.shape[0]
    targets = np.zeros((len(texts), count), np.float32)
    targets[np.arange(count), np.arange(count)] = 1
    targets[count + np.arange(len(known.labels)), known.labels] = 1
    ridge = KernelRidge(alpha=_RIDGE, kernel="poly", degree=DEGREE, gamma=0.5, coef0=0.5)
    ridge.fit(texts, targets)
    return Kernel(texts, ridge.dual_coef_.astype(np.float32))


@dataclass(frozen=True)
class Similarity:
    """Fitted on what is known; `members` (FAQs, duplicates) has a 1 for each duplicate's FAQ."""

    known: Known
    members: csr_array
    margins: Margins | None
    kernel: Kernel | None

    @classmethod
    def fit(cls, known: Known, seed: int, *, with_margins: bool) -> "Similarity":
        """Deterministic for a given `seed`."""
        ones = np.ones(len(known.labels), np.float32)
        members = csr_array(
            (ones, (known.labels, np.arange(len(ones)))),
            shape=(known.originals.shape[0], len(ones)),
        )
        margins = Margins.fit(known, seed) if with_margins else None
        return cls(known, members, margins, fit_kernel(known) if known.has_embeddings else None)

    def compare(self, questions: csr_array, candidates: NDArray[np.int64]) -> NDArray[np.float32]:
        """The similarities of each question to its `candidates` (questions, candidates).

        Of shape (questions, candidates, 6), or 7 with margins, or 8 with embeddings too.
        """
        if self.margins is None:
            return self._compare_one_by_one(questions, candidates)
        texts = self._texts(slice(None))
        products = [
            (questions[:, block] @ kind[:, block].T).toarray()
            for block in self._blocks()
            for kind in texts
        ]
        ngrams = questions[:, : self.known.first_embedding]
        products.append(ngrams @ self.margins.directions + self.margins.intercepts)
        if self.kernel is not None:
            embedded = questions[:, self.known.first_embedding :].toarray()
            products.append(self.kernel.compare(embedded))
        chosen = [np.take_along_axis(product, candidates, axis=1) for product in products]
        return np.stack(chosen, axis=2).astype(np.float32)

    def scores(self, weights: NDArray[np.float64]) -> Scores:
        """The sum of the similarities by `weights` as a function of a question's features."""
        cosines = weights[:COSINES].astype(np.float32)
        if self.margins is None:
            # A cosine has no term above 1.
            most = max(cosines[:3].sum(), cosines[3:].sum())
            return IndexedScores(Weights.quantise(self._fold(cosines), most=float(most)))
        (folded,) = self._fold(cosines, rows=self.known.originals.shape[0])
        dense = folded[:, : self.known.first_embedding].T.toarray()
        dense = dense + self.margins.directions * weights[MARGIN]
        bias = self.margins.intercepts * weights[MARGIN]
        plain = DenseScores(dense.astype(np.float32), bias.astype(np.float32))
        if self.kernel is None:
            return plain
        coefficients = self.kernel.coefficients * np.float32(weights[KERNEL])
        return KernelScores(plain, Kernel(self.kernel.texts, coefficients))

    def _compare_one_by_one(
        self, questions: csr_array, candidates: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        compared = np.empty((candidates.size, COSINES), np.float32)
        rows = np.arange(len(candidates)).repeat(candidates.shape[1])
        for start in range(0, candidates.size, _BLOCK_ROWS):
            some = slice(start, start + _BLOCK_ROWS)
            asked, texts = questions[rows[some]], self._texts(candidates.ravel()[some])
            products = [
                asked[:, block].multiply(kind[:, block]).sum(axis=1)
                for block in self._blocks()
                for kind in texts
            ]
            compared[some] = np.stack(products, axis=1)
        return compared.reshape(*candidates.shape, COSINES)

    def _fold(self, cosines: NDArray[np.float32], rows: int = _BLOCK_ROWS) -> Iterator[csr_array]:
        """One weight for each FAQ and feature, `rows` FAQs at a time: the whole is large."""
        words, characters = self._blocks()
        scale = np.zeros((3, self.known.originals.shape[1]), np.float32)
        scale[:, words], scale[:, characters] = cosines[:3, None], cosines[3:, None]
        for start in range(0, self.known.originals.shape[0], rows):
            originals, centroids, answers = (
                _scaled(texts, factors)
                for texts, factors in zip(
                    self._texts(slice(start, start + rows)), scale, strict=True
                )
            )
            folded = originals + centroids + answers
            folded.eliminate_zeros()
            yield folded

    def _texts(self, faqs: slice | NDArray[np.int64]) -> tuple[csr_array, csr_array, csr_array]:
        """Originals, centroids and answers of some FAQs, in the order of the weights."""
        originals = self.known.originals[faqs]
        sums = originals + self.members[faqs] @ self.known.duplicates
        squares = csr_array((sums.data**2, sums.indices, sums.indptr), shape=sums.shape)
        # Each block of its own length 1, as of a question.
        factors = np.zeros((sums.shape[0], 3), np.float32)
        for number, block in enumerate(self._blocks()):
            lengths = np.sqrt(squares[:, block].sum(axis=1))
            factors[:, number] = np.divide(
                1, lengths, where=lengths > 0, out=np.zeros_like(lengths)
            )
        kinds = np.searchsorted(
            [self.known.first_character, self.known.first_pair], sums.indices, side="right"
        )
        rows = np.arange(sums.shape[0]).repeat(np.diff(sums.indptr))
        sums.data *= factors[rows, kinds]
        return originals, sums, self.known.answers[faqs]

    def _blocks(self) -> tuple[slice, slice]:
        """The columns of words and of characters, in the order of the weights."""
        first_character, first_pair = self.known.first_character, self.known.first_pair
        return slice(0, first_character), slice(first_character, first_pair)


def _scaled(texts: csr_array, factors: NDArray[np.float32]) -> csr_array:
    """With each column times its factor."""
    data = texts.data * factors[texts.indices]
    return csr_array((data, texts.indices, texts.indptr), shape=texts.shape)
