from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from deployments.faq.split import EVERY, choose_held_out

questions = st.lists(st.tuples(st.sampled_from("abcdef"), st.text(max_size=3)))


@given(questions, st.randoms(use_true_random=False))
def test_does_not_depend_on_order_or_repetition(
    asked: list[tuple[str, str]], random: Random
) -> None:
    shuffled = [*asked, *asked[:5]]
    random.shuffle(shuffled)
    assert choose_held_out(shuffled) == choose_held_out(asked)


@given(questions, st.integers(0, 100))
def test_is_stratified_and_leaves_every_group_a_half(
    asked: list[tuple[str, str]], seed: int
) -> None:
    sizes = Counter(group for group, _ in set(asked))
    chosen = Counter(group for group, _ in choose_held_out(asked, seed=seed))
    for group, size in sizes.items():
        assert abs(chosen[group] - size / EVERY) < 1
        assert chosen[group] <= size / 2
    eligible = sum(size for size in sizes.values() if size > 1)
    assert chosen.total() == -(-eligible // EVERY)


def test_the_seed_decides() -> None:
    asked = [("a", f"question {number}") for number in range(100)]
    assert choose_held_out(asked, seed=1) == choose_held_out(asked, seed=1)
    assert choose_held_out(asked, seed=1) != choose_held_out(asked, seed=2)
