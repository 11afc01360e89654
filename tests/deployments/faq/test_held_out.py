from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from deployments.faq.calibration import RIVALS
from deployments.faq.held_out import FOLDS, HeldOut, held_out
from deployments.faq.similarity import COSINES, MARGIN, Known

DUPLICATES = 4


def strange_to_each_other(faqs: int, duplicates: int = DUPLICATES, strangers: int = 10) -> Known:
    """Every text is one word that no other text has, so that it is like nothing but itself."""
    width = faqs * (1 + duplicates) + strangers
    texts = csr_array(np.eye(width, dtype=np.float32))
    asked = faqs * duplicates
    return Known(
        first_character=width,
        first_pair=width,
        first_embedding=width,
        originals=texts[:faqs],
        answers=csr_array(np.zeros((faqs, width), np.float32)),
        duplicates=texts[faqs : faqs + asked],
        labels=np.arange(asked) % faqs,
        strangers=texts[faqs + asked :],
    )


def ask(known: Known, *, with_margins: bool) -> tuple[HeldOut, int]:
    """And how many folds there were."""
    folds: list[None] = []
    found = held_out(known, 0, lambda: folds.append(None), with_margins=with_margins)
    return found, len(folds)


@pytest.mark.parametrize("with_margins", [True, False])
@pytest.mark.parametrize("faqs", [2, 5, RIVALS + 50])
def test_nobody_is_asked_of_what_was_fitted_with_it(faqs: int, with_margins: bool) -> None:
    found, _ = ask(strange_to_each_other(faqs), with_margins=with_margins)
    assert not found.similarities[:, :, :COSINES].any()
    if with_margins:
        # Of what an SVM has not seen it knows its intercepts alone, the same for a whole fold.
        assert found.similarities[found.is_right][:, MARGIN].max() < 0
        if faqs <= RIVALS:
            margins = np.sort(found.similarities[:, :, MARGIN], axis=1)
            assert len(np.unique(margins, axis=0)) <= FOLDS


@pytest.mark.parametrize("with_margins", [True, False])
def test_what_was_fitted_is_of_the_others(with_margins: bool) -> None:
    """Each duplicate has a twin with the same word; one is known when the other is asked."""
    known = strange_to_each_other(20, duplicates=1, strangers=0)
    labels = np.arange(40) // 2
    twins = replace(known, duplicates=known.duplicates[labels], labels=labels)
    found, _ = ask(twins, with_margins=with_margins)
    centroids = found.similarities[:, :, 1]
    np.testing.assert_allclose(centroids[found.is_right], np.sqrt(0.5), rtol=1e-5)
    assert not centroids[~found.is_right].any()


@pytest.mark.parametrize("with_margins", [True, False])
@pytest.mark.parametrize("faqs", [2, 5, RIVALS, RIVALS + 50])
def test_the_right_faq_is_among_the_candidates_of_all_but_strangers(
    faqs: int, with_margins: bool
) -> None:
    found, folds = ask(strange_to_each_other(faqs), with_margins=with_margins)
    assert folds == (FOLDS if with_margins else 1)
    asked = DUPLICATES * faqs * folds // FOLDS
    assert abs(found.is_right.any(axis=1).sum() - asked) <= 1
    assert (~found.is_right.any(axis=1)).sum() == 10 * folds // FOLDS
    assert found.is_right.sum(axis=1).max() == 1
    candidates = min(RIVALS, faqs)
    assert found.is_right.shape == (len(found.is_right), candidates)
    assert found.similarities.shape == (*found.is_right.shape, COSINES + with_margins)
    matching = found.matching()
    assert matching.is_right.any(axis=1).all()
    assert len(matching.similarities) == len(matching.is_right) == found.is_right.sum()


@pytest.mark.parametrize("with_margins", [True, False])
def test_without_questions_nothing_is_asked(with_margins: bool) -> None:
    found, folds = ask(strange_to_each_other(3, 0, 0), with_margins=with_margins)
    assert found.similarities.shape == (0, 3, COSINES + with_margins)
    assert found.is_right.shape == (0, 3)
    assert folds == (FOLDS if with_margins else 1)


def test_strangers_alone_are_asked_too() -> None:
    found, _ = ask(strange_to_each_other(3, 0, 10), with_margins=True)
    assert found.is_right.shape == (10, 3)
    assert not found.is_right.any()
    assert len(found.matching().is_right) == 0


def test_of_very_many_a_sample_is_asked() -> None:
    found, _ = ask(strange_to_each_other(200, 40, 0), with_margins=False)
    assert 800 < len(found.is_right) < 1_200


def test_the_seed_decides_who_is_asked_when() -> None:
    known = strange_to_each_other(5)
    found = [held_out(known, 1, lambda: None, with_margins=True) for _ in range(2)]
    assert np.array_equal(found[0].similarities, found[1].similarities)
    assert np.array_equal(found[0].is_right, found[1].is_right)
