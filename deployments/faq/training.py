"""Trains a ranker on a corpus, with scikit-learn, which the serving process never imports.

The weights of the similarities and the calibration are fitted on questions that the similarities
have not seen: each fold of the duplicates is compared with what was fitted on the other folds.
"""

import numpy as np
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer
from tqdm import tqdm

from deployments.faq.corpus import Corpus, CorpusError
from deployments.faq.evaluation import Evaluation, evaluate
from deployments.faq.features import (
    CHARACTER_NGRAMS,
    TOKEN_PATTERN,
    WORD_NGRAMS,
    FeatureExtractor,
)
from deployments.faq.fitting import choose_threshold, fit_calibration, fit_weights
from deployments.faq.held_out import FOLDS, held_out
from deployments.faq.ranker import FaqRanker
from deployments.faq.similarity import Known, Similarity

__all__ = ["LARGEST_CORPUS", "Evaluation", "evaluate", "train"]

LARGEST_CORPUS = 1_000
"""FAQs up to which the dense weights, one a feature and FAQ, fit and train in minutes."""

# 512 MiB in the ranker, and a few times as much while training.
_MOST_WEIGHTS = 1 << 27
_MOST_FEATURES = 1 << 17
# From so many texts on, an n-gram that a single one holds says too little for its place.
_MANY_TEXTS = 5_000


def train(corpus: Corpus, *, seed: int = 0, progress: bool = True) -> FaqRanker:
    """Train on the originals and `corpus.train`; the same corpus and seed give the same ranker.

    Shows a progress bar on stderr where `progress`. Raises CorpusError where the corpus has more
    than LARGEST_CORPUS FAQs or no word at all.
    """
    if len(corpus.faqs) > LARGEST_CORPUS:
        raise CorpusError(f"{corpus.name}: {len(corpus.faqs)} FAQs, at most {LARGEST_CORPUS} fit")
    with tqdm(total=FOLDS + 3, desc=f"Training {corpus.name}", disable=not progress) as bar:
        extractor = fit_features(_texts(corpus), _MOST_WEIGHTS // len(corpus.faqs))
        known = _known(corpus, extractor)
        bar.update()
        similarities, labels = held_out(known, seed, bar.update)
        weights = fit_weights(similarities, labels)
        scores = similarities @ weights
        calibration = fit_calibration(scores, labels)
        threshold = choose_threshold(scores, labels, calibration)
        bar.update()
        matrix, bias = Similarity.fit(known, seed).fold(weights)
        bar.update()
    return FaqRanker(corpus.faqs, extractor, matrix, bias, calibration, threshold)


def fit_features(texts: list[str], most_features: int) -> FeatureExtractor:
    """The n-grams of `texts`, the commonest `most_features` of them at most.

    Raises CorpusError where there is no word.
    """
    rarest = 2 if len(texts) >= _MANY_TEXTS else 1
    words, characters = (
        TfidfVectorizer(
            analyzer=analyzer,
            ngram_range=ngrams,
            token_pattern=TOKEN_PATTERN if analyzer == "word" else None,
            min_df=rarest,
            max_features=min(most_features // 2, _MOST_FEATURES),
            sublinear_tf=True,
        )
        for analyzer, ngrams in (("word", WORD_NGRAMS), ("char_wb", CHARACTER_NGRAMS))
    )
    try:
        words.fit(texts)
    except ValueError as error:
        raise CorpusError(f"the corpus has no words to learn from: {error}") from error
    characters.fit(texts)
    return FeatureExtractor(
        words.get_feature_names_out().tolist(),
        characters.get_feature_names_out().tolist(),
        np.concatenate([words.idf_, characters.idf_]).astype(np.float32),
    )


def _texts(corpus: Corpus) -> list[str]:
    questions = [faq.question for faq in corpus.faqs]
    answers = [faq.answer for faq in corpus.faqs if faq.answer is not None]
    return questions + answers + [example.text for example in corpus.train]


def _known(corpus: Corpus, extractor: FeatureExtractor) -> Known:
    def features(texts: list[str]) -> csr_array:
        return extractor.transform(texts).astype(np.float64)

    return Known(
        words=len(extractor.words),
        originals=features([faq.question for faq in corpus.faqs]),
        answers=features([faq.answer or "" for faq in corpus.faqs]),
        duplicates=features([example.text for example in corpus.train]),
        labels=np.array([example.faq for example in corpus.train], np.int64),
    )
