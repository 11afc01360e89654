"""Trains a ranker on a corpus, with scikit-learn, which the serving process never imports.

The weights of the similarities and the calibration are fitted on questions that the similarities
have not seen: each fold of the duplicates is compared with what was fitted on the other folds.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack
from tqdm import tqdm

from deployments.faq.calibration import Calibration
from deployments.faq.corpus import Corpus, CorpusError
from deployments.faq.embedding import Embedder
from deployments.faq.evaluation import Evaluation, evaluate
from deployments.faq.features import FeatureExtractor
from deployments.faq.fitting import choose_threshold, fit_calibration, fit_weights, prior_weights
from deployments.faq.held_out import FOLDS, held_out
from deployments.faq.ranker import FaqRanker
from deployments.faq.similarity import Known, Similarity
from deployments.faq.vocabulary import fit_features

__all__ = ["LARGEST_WITH_MARGINS", "Evaluation", "evaluate", "train"]

LARGEST_WITH_MARGINS = 1_000
"""FAQs up to which there are margins: a dense weight for each feature and FAQ, at most 256 MiB."""

MOST_TEXTS_WITH_EMBEDDINGS = 20_000
"""A kernel holds a number for each two of them: 1.6 GB."""

_MOST_DENSE_WEIGHTS = 1 << 26
_MOST_FEATURES = 3 << 17
_MOST_INDEXED_FEATURES = 1 << 23
_BLOCK_TEXTS = 10_000


def train(
    corpus: Corpus,
    *,
    seed: int = 0,
    progress: bool = True,
    largest_with_margins: int = LARGEST_WITH_MARGINS,
    embedder: Embedder | None = None,
) -> FaqRanker:
    """Train on the originals, `train`, `val` and their out-of-scope questions.

    The same corpus and seed give the same ranker. A corpus of more than `largest_with_margins` FAQs
    is scored through an index, without margins. With an `embedder` its dense features count as
    well. Shows a progress bar on stderr where `progress`. Raises CorpusError where there is no word
    at all, and where the corpus is too large for embeddings.
    """
    with_margins = len(corpus.faqs) <= largest_with_margins
    texts = _texts(corpus)
    if embedder and (not with_margins or len(texts) > MOST_TEXTS_WITH_EMBEDDINGS):
        raise CorpusError(
            f"{corpus.name}: embeddings take up to {largest_with_margins} FAQs and "
            f"{MOST_TEXTS_WITH_EMBEDDINGS} texts, not {len(corpus.faqs)} and {len(texts)}"
        )
    folds = FOLDS if with_margins else 1
    # In passes over the texts: fitting margins takes two for each fold, an index a quarter.
    fit = 2 * len(texts) if with_margins else len(texts) // 4
    total = 2 * len(texts) + (folds + 3) * fit
    with tqdm(
        total=total, desc=f"Training {corpus.name}", unit="text", disable=not progress
    ) as bar:

        def step() -> None:
            bar.update(fit)

        extractor = fit_features(
            texts,
            most_features=_most_features(len(corpus.faqs), with_margins),
            with_pairs=with_margins,
            embedder=embedder,
            on_texts=bar.update,
        )
        if not extractor.first_embedding:
            raise CorpusError(f"{corpus.name}: the corpus has no words to learn from")
        known = _known(corpus, extractor, bar.update)
        asked = held_out(known, seed, step, with_margins=with_margins)
        prior = prior_weights(with_margins, embedder is not None)
        matching = asked.matching()
        weights = fit_weights(matching.similarities, matching.is_right, prior)
        scores = asked.similarities @ weights
        calibration = fit_calibration(scores, asked.is_right)
        threshold = choose_threshold(scores, asked.is_right, calibration)
        step()
        similarity = Similarity.fit(known, seed, with_margins=with_margins)
        step()
        final = similarity.scores(weights)
        step()
    parameters = _parameters(extractor, weights, calibration, seed, len(matching.is_right))
    return FaqRanker(
        corpus.faqs,
        FeatureExtractor(extractor.words, extractor.characters, extractor.pairs, embedder=embedder),
        final,
        calibration,
        threshold,
        parameters,
    )


def _most_features(faqs: int, with_margins: bool) -> int:
    if with_margins:
        return min(_MOST_DENSE_WEIGHTS // faqs, _MOST_FEATURES)
    return _MOST_INDEXED_FEATURES


def _texts(corpus: Corpus) -> list[str]:
    questions = [faq.question for faq in corpus.faqs]
    answers = [faq.answer for faq in corpus.faqs if faq.answer is not None]
    duplicates = [example.text for example in (*corpus.train, *corpus.val)]
    # Of strangers too: what tells them apart is in their words.
    return questions + answers + duplicates + [*corpus.oos_train, *corpus.oos_val]


def _known(corpus: Corpus, extractor: FeatureExtractor, on_texts: Callable[[int], object]) -> Known:
    def transform(texts: Sequence[str]) -> csr_array:
        blocks = [extractor.transform([])]
        for start in range(0, len(texts), _BLOCK_TEXTS):
            some = texts[start : start + _BLOCK_TEXTS]
            blocks.append(extractor.transform(some))
            on_texts(sum(map(bool, some)))
        features: csr_array = vstack(blocks, format="csr")
        return features

    examples = (*corpus.train, *corpus.val)
    return Known(
        first_character=extractor.first_character,
        first_pair=extractor.first_pair,
        first_embedding=extractor.first_embedding,
        originals=transform([faq.question for faq in corpus.faqs]),
        answers=transform([faq.answer or "" for faq in corpus.faqs]),
        duplicates=transform([example.text for example in examples]),
        labels=np.array([example.faq for example in examples], np.int64),
        strangers=transform([*corpus.oos_train, *corpus.oos_val]),
    )


def _parameters(
    extractor: FeatureExtractor,
    weights: NDArray[np.float64],
    calibration: Calibration,
    seed: int,
    asked: int,
) -> dict[str, str]:
    return {
        "seed": str(seed),
        "words": str(len(extractor.words)),
        "characters": str(len(extractor.characters)),
        "pairs": str(len(extractor.pairs)),
        "embeddings": extractor.embedder.name if extractor.embedder else "none",
        "weights": " ".join(f"{weight:.4g}" for weight in weights),
        "calibration": f"{calibration.score:.4g} {calibration.odds:.4g} {calibration.offset:.4g}",
        "fitted_on": str(asked),
    }
