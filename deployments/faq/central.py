"""Finds the question that stands best for its group: the most central under TF-IDF word features.

Central is the highest mean cosine to the others of the group (Salton & Buckley, "Term-Weighting
Approaches in Automatic Text Retrieval", 1988, for the weights). As the mean of products with unit
vectors is the product with their sum, it costs one pass, not one for each pair. Plain counting:
the corpus is read where scikit-learn is not loaded.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

_WORD = re.compile(r"\w+")
# Cosines that differ by rounding alone are ties.
_DIGITS = 9

_Vector = dict[str, float]


def most_central(groups: Sequence[Sequence[str]]) -> list[int]:
    """The index within each group of its most central text, the first of equals.

    The inverse document frequencies are those of all the texts of all groups. No group is empty.
    """
    texts = Counter[str]()
    for group in groups:
        for text in group:
            texts.update(set(_words(text)))
    count = sum(len(group) for group in groups)
    idf = {word: math.log((1 + count) / (1 + found)) + 1 for word, found in texts.items()}
    return [_most_central(group, idf) for group in groups]


def _most_central(group: Sequence[str], idf: _Vector) -> int:
    vectors = [_unit_vector(text, idf) for text in group]
    total: _Vector = {}
    for vector in vectors:
        for word, value in vector.items():
            total[word] = total.get(word, 0.0) + value
    # To the others: what a text has in common with itself counts for none.
    cosines = [
        round(sum(value * (total[word] - value) for word, value in vector.items()), _DIGITS)
        for vector in vectors
    ]
    return cosines.index(max(cosines))


def _unit_vector(text: str, idf: _Vector) -> _Vector:
    vector = {word: found * idf[word] for word, found in Counter(_words(text)).items()}
    length = math.hypot(*vector.values())
    return {word: value / length for word, value in vector.items()}


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
