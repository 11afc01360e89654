import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_array

from deployments.faq.index import IndexedScores
from deployments.faq.scores import DenseScores
from deployments.faq.similarity import COSINES, MARGIN, Known, Margins, Similarity
from deployments.faq.vocabulary import fit_features
from tests.deployments.faq.small import DUPLICATES, QUESTIONS

ANSWERS = ["Use the link below the form.", "", "We take every card.", ""]
STRANGERS = ["what is the weather", "sing me a song"]
ASKED = ["password", "is my parcel lost", "pay on sunday", "grblfx", "", "what is open"]

EXTRACTOR = fit_features(
    [*QUESTIONS, *ANSWERS, *DUPLICATES, *STRANGERS], most_features=1 << 12, with_pairs=True
)
KNOWN = Known(
    first_character=EXTRACTOR.first_character,
    first_pair=EXTRACTOR.first_pair,
    first_embedding=EXTRACTOR.first_embedding,
    originals=EXTRACTOR.transform(QUESTIONS),
    answers=EXTRACTOR.transform(ANSWERS),
    duplicates=EXTRACTOR.transform([*DUPLICATES]),
    labels=np.array([*DUPLICATES.values()]),
    strangers=EXTRACTOR.transform(STRANGERS),
)
Rows = NDArray[np.floating]

QUESTION_FEATURES = EXTRACTOR.transform(ASKED)
EVERY_FAQ = np.tile(np.arange(4), (len(ASKED), 1))


def parts(rows: Rows) -> list[Rows]:
    """Words and characters."""
    first_character, first_pair = KNOWN.first_character, KNOWN.first_pair
    return [rows[:, :first_character], rows[:, first_character:first_pair]]


def unit(rows: Rows) -> Rows:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0, lengths, 1.0))


def cosines() -> Rows:
    """By the definition, of shape (questions, FAQs, 6)."""
    originals, answers = KNOWN.originals.toarray(), KNOWN.answers.toarray()
    duplicates = KNOWN.duplicates.toarray()
    sums = np.stack(
        [
            original + duplicates[KNOWN.labels == faq].sum(axis=0)
            for faq, original in enumerate(originals)
        ]
    )
    asked = parts(QUESTION_FEATURES.toarray())
    kinds = [parts(originals), [unit(part) for part in parts(sums)], parts(answers)]
    return np.stack([asked[part] @ kind[part].T for part in (0, 1) for kind in kinds], axis=2)


def fit(*, with_margins: bool) -> Similarity:
    return Similarity.fit(KNOWN, seed=0, with_margins=with_margins)


@pytest.mark.parametrize("with_margins", [True, False])
def test_cosines_are_those_of_the_definition(with_margins: bool) -> None:
    found = fit(with_margins=with_margins).compare(QUESTION_FEATURES, EVERY_FAQ)
    assert found.shape == (len(ASKED), 4, COSINES + with_margins)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, :, :COSINES], cosines(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("with_margins", [True, False])
def test_candidates_are_compared_in_their_order(with_margins: bool) -> None:
    similarity = fit(with_margins=with_margins)
    everything = similarity.compare(QUESTION_FEATURES, EVERY_FAQ)
    candidates = np.random.default_rng(0).integers(0, 4, (len(ASKED), 3))
    expected = everything[np.arange(len(ASKED))[:, None], candidates]
    np.testing.assert_allclose(
        similarity.compare(QUESTION_FEATURES, candidates), expected, rtol=1e-6
    )


@pytest.mark.parametrize(("with_margins", "kind"), [(True, DenseScores), (False, IndexedScores)])
def test_scores_are_the_weighted_sum(with_margins: bool, kind: type) -> None:
    similarity = fit(with_margins=with_margins)
    weights = np.array([1.0, 0.0, 4.0, 3.0, 2.0, 6.0, 1.5][: COSINES + with_margins])
    scores = similarity.scores(weights)
    assert isinstance(scores, kind)
    expected = similarity.compare(QUESTION_FEATURES, EVERY_FAQ) @ weights
    np.testing.assert_allclose(scores.all(QUESTION_FEATURES), expected, rtol=1e-3, atol=2e-3)


def test_margins_tell_the_known_apart() -> None:
    margins = Margins.fit(KNOWN, seed=0)
    assert margins.directions.shape == (EXTRACTOR.width, 4)
    of_duplicates = KNOWN.duplicates @ margins.directions + margins.intercepts
    assert (of_duplicates.argmax(axis=1) == KNOWN.labels).all()
    assert (of_duplicates.max(axis=1) > 0).all()
    assert (KNOWN.strangers @ margins.directions + margins.intercepts < 0).all()
    assert (margins.intercepts < 0).all()


def test_the_margin_comes_behind_the_cosines() -> None:
    similarity = fit(with_margins=True)
    assert similarity.margins is not None
    expected = QUESTION_FEATURES @ similarity.margins.directions + similarity.margins.intercepts
    found = similarity.compare(QUESTION_FEATURES, EVERY_FAQ)[:, :, MARGIN]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_the_seed_decides_all() -> None:
    found = [Margins.fit(KNOWN, seed=3) for _ in range(2)]
    assert np.array_equal(found[0].directions, found[1].directions)
    assert np.array_equal(found[0].intercepts, found[1].intercepts)


def test_only_the_chosen_are_kept() -> None:
    first = KNOWN.only(KNOWN.labels == 0)
    assert first.labels.tolist() == [0, 0]
    assert np.array_equal(first.duplicates.toarray(), KNOWN.duplicates.toarray()[:2])
    assert first.strangers.shape == KNOWN.strangers.shape
    none = KNOWN.only(KNOWN.labels < 0, np.array([False, True]))
    assert (none.duplicates.shape[0], none.strangers.shape[0]) == (0, 1)


def test_no_duplicates_leave_the_original_for_a_centroid() -> None:
    similarity = Similarity.fit(KNOWN.only(KNOWN.labels < 0), seed=0, with_margins=False)
    found = similarity.compare(QUESTION_FEATURES, EVERY_FAQ)
    np.testing.assert_allclose(found[:, :, [1, 4]], found[:, :, [0, 3]], rtol=1e-5, atol=1e-6)


def test_many_faqs_come_in_blocks() -> None:
    """More than a block of FAQs, and of pairs of a question and a candidate."""
    count = 17_000
    rng = np.random.default_rng(0)

    def texts() -> csr_array:
        columns = np.sort(rng.permuted(np.tile(np.arange(9), (count, 1)), axis=1)[:, :2], axis=1)
        cells = np.full(2 * count, np.sqrt(0.5), np.float32), columns.ravel()
        return csr_array((*cells, np.arange(0, 2 * count + 1, 2)), shape=(count, 9))

    known = Known(
        first_character=9,
        first_pair=9,
        first_embedding=9,
        originals=texts(),
        answers=texts(),
        duplicates=texts(),
        labels=rng.integers(0, count, count),
        strangers=csr_array(np.zeros((0, 9), np.float32)),
    )
    similarity = Similarity.fit(known, seed=0, with_margins=False)
    weights = np.array([1.0, 2.0, 3.0, 0.0, 0.0, 0.0])
    asked = csr_array(np.eye(2, 9, dtype=np.float32))
    found = similarity.compare(asked, np.tile(np.arange(count), (2, 1))) @ weights
    np.testing.assert_allclose(similarity.scores(weights).all(asked), found, atol=1e-3)
