from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.faq.corpus import Faq
from deployments.faq.stored_faqs import StoredFaqs

TEXTS = st.text(st.characters(codec="utf-8"))
FAQS = st.lists(st.builds(Faq, TEXTS, TEXTS, TEXTS, st.none() | TEXTS))


@given(FAQS)
def test_gives_back_what_was_packed(faqs: list[Faq]) -> None:
    stored = StoredFaqs.pack(faqs)
    assert len(stored) == len(faqs)
    assert list(stored) == faqs
    assert [stored[place] for place in range(-len(faqs), len(faqs))] == faqs * 2
    assert stored.largest_bytes == max(
        (len(stored.data[a:b]) for a, b in zip(stored.starts[:-1], stored.starts[1:], strict=True)),
        default=0,
    )


@given(FAQS, st.slices(5))
def test_slices_are_those_of_a_list(faqs: list[Faq], part: slice) -> None:
    assert StoredFaqs.pack(faqs)[part] == faqs[part]


@pytest.mark.parametrize("index", [2, -3])
def test_refuses_a_place_outside(index: int) -> None:
    stored = StoredFaqs.pack([Faq("Q1", "A1", "a", None), Faq("Q2", "A2", "b", "c")])
    with pytest.raises(IndexError, match=f"FAQ {index} of 2"):
        stored[index]


def test_packed_once() -> None:
    stored = StoredFaqs.pack([Faq("Q1", "A1", "a", None)])
    assert StoredFaqs.pack(stored) is stored


def test_reads_from_a_file(tmp_path: Path) -> None:
    faqs = [Faq("Q1", "A1", "\u4f60\u597d?", None), Faq("Q2", "A2", "b", 'c\n\t"')]
    stored = StoredFaqs.pack(faqs)
    np.save(tmp_path / "data.npy", stored.data)
    mapped = StoredFaqs(np.load(tmp_path / "data.npy", mmap_mode="r"), stored.starts)
    assert list(mapped) == faqs
