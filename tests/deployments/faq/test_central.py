import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from deployments.faq.central import most_central

groups = st.lists(
    st.lists(st.text("abc ", min_size=1, max_size=8), min_size=1, max_size=6), min_size=1
)


@given(groups)
def test_agrees_with_the_cosines_of_each_pair(groups: list[list[str]]) -> None:
    texts = [text for group in groups for text in group]
    if not "".join(texts).strip():
        return
    features = TfidfVectorizer(token_pattern=r"\w+").fit_transform(texts).toarray()
    start = 0
    for group, found in zip(groups, most_central(groups), strict=True):
        rows = features[start : start + len(group)]
        start += len(group)
        cosines = rows @ rows.T
        np.fill_diagonal(cosines, 0)
        totals = cosines.sum(axis=1).round(9)
        assert totals[found] >= totals.max() - 2e-9


def test_the_first_of_equals_stands() -> None:
    assert most_central([["a b", "b a", "a b"], ["?!", "..."], ["x"]]) == [0, 0, 0]


def test_no_groups() -> None:
    assert most_central([]) == []
