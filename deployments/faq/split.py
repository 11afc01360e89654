"""Holds questions out of a corpus that brings no test file of its own.

Systematic sampling: the questions are put in a seeded order in which those of one FAQ stand beside
each other, and every fifth is held out. So each FAQ gives a fifth of its questions, to within one.
"""

from collections.abc import Hashable, Iterable
from hashlib import blake2b
from typing import TypeVar

_Group = TypeVar("_Group", bound=Hashable)

EVERY = 5
"""One question in so many is held out."""


def choose_held_out(
    questions: Iterable[tuple[_Group, str]], *, seed: int = 0
) -> set[tuple[_Group, str]]:
    """The pairs of a group and a text that are held out; they do not depend on the order of rows.

    A text that a group holds several times counts once, and so is never on both sides. Of a group
    with one text none is held out, of the others half at most.
    """
    groups: dict[_Group, set[str]] = {}
    for group, text in questions:
        groups.setdefault(group, set()).add(text)
    enough = [group for group, texts in groups.items() if len(texts) > 1]
    chosen: set[tuple[_Group, str]] = set()
    position = 0
    for group in sorted(enough, key=lambda group: seeded(str(group), seed)):
        for text in sorted(groups[group], key=lambda text: seeded(text, seed)):
            if position % EVERY == 0:
                chosen.add((group, text))
            position += 1
    return chosen


def seeded(text: str, seed: int) -> bytes:
    """A key to sort by: an order like a random one, the same on every machine."""
    # A corpus comes from UTF-8, which has no lone surrogates; any other text must not fail here.
    return blake2b(f"{seed} {text}".encode("utf-8", "surrogatepass")).digest()
