"""Known duplicates beside a model: which are chosen, and that they come back as they were."""

from pathlib import Path

import pytest

from deployments.contracts import KnownDuplicate
from deployments.faq.artifact import RankerFormatError
from deployments.faq.corpus import JAVASCRIPT, Corpus, Example, Faq, load_corpus
from deployments.faq.examples import FILE, MOST, Examples


def corpus(train: int, test: int) -> Corpus:
    """Duplicates in turn of two FAQs; those held out have their own texts."""
    return Corpus(
        faqs=(Faq("Q0", "A0", "one?", None), Faq("Q1", "A1", "two?", None)),
        train=tuple(Example(f"train {index}", index % 2) for index in range(train)),
        test=tuple(Example(f"test {index}", index % 2) for index in range(test)),
        name="shop",
        digest="sha256:0",
    )


def test_held_out_duplicates_come_before_those_of_the_training() -> None:
    assert Examples.choose(corpus(4, 3)).duplicates == (
        KnownDuplicate("test 0", "A0"),
        KnownDuplicate("test 1", "A1"),
        KnownDuplicate("test 2", "A0"),
    )
    assert Examples.choose(corpus(1, 0)).duplicates == (KnownDuplicate("train 0", "A0"),)
    assert Examples.choose(corpus(0, 0)).duplicates == ()


@pytest.mark.parametrize("test", [MOST - 1, MOST, MOST + 1, 1000])
def test_few_are_spread_over_many(test: int) -> None:
    chosen = [duplicate.question for duplicate in Examples.choose(corpus(0, test)).duplicates]
    assert len(chosen) <= MOST
    assert len(chosen) >= min(test, MOST // 2)
    assert int(chosen[-1].removeprefix("test ")) > 0.9 * test - 1


def test_the_embedded_corpus_has_some() -> None:
    javascript = load_corpus(JAVASCRIPT)
    answers = {faq.answer_id for faq in javascript.faqs}
    chosen = Examples.choose(javascript).duplicates
    assert len(chosen) > MOST // 2
    assert {duplicate.answer_id for duplicate in chosen} <= answers


def test_what_is_saved_is_read(tmp_path: Path) -> None:
    examples = Examples((KnownDuplicate('quotes " and \N{SNOWMAN}\n', "A1"),))
    examples.save(tmp_path)
    assert Examples.load(tmp_path) == examples


def test_a_model_without_the_file_has_none(tmp_path: Path) -> None:
    assert Examples.load(tmp_path) == Examples(())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"{}",
        b"[1]",
        b'[{"question": "q"}]',
        b'[{"question": 1, "answer_id": "A"}]',
        b'[{"question": "q", "answer_id": "A", "more": 1}]',
    ],
)
def test_another_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(RankerFormatError, match=r"examples\.json"):
        Examples.load(tmp_path)
