from pathlib import Path

import pytest

from deployments.faq.corpus import (
    JAVASCRIPT,
    CorpusError,
    Example,
    Faq,
    corpus_digest,
    load_corpus,
)
from tests.deployments.faq.corpora import ANSWERS, DUPLICATES, QUESTIONS, write_corpus

FILES = {
    "questions.tsv": QUESTIONS,
    "answers.tsv": ANSWERS,
    "dupes_train.tsv": DUPLICATES,
    "dupes_test.tsv": DUPLICATES,
}


def test_reads_all_tables(tmp_path: Path) -> None:
    corpus = load_corpus(write_corpus(tmp_path / "shop", FILES))
    assert corpus.faqs == (
        Faq("Q1", "A1", "How do I reset my password?", "Use the link below the form."),
        Faq("Q2", "A2", "Where is my parcel?", None),
    )
    assert corpus.train == (Example("forgot password", 0), Example("my parcel has not come", 1))
    assert corpus.test == corpus.train
    assert corpus.name == "shop"
    assert corpus.digest == corpus_digest(tmp_path / "shop")


def test_questions_are_enough(tmp_path: Path) -> None:
    corpus = load_corpus(write_corpus(tmp_path, {"questions.tsv": QUESTIONS}))
    assert [faq.answer for faq in corpus.faqs] == [None, None]
    assert corpus.train == corpus.test == ()


def test_reads_gzipped_tables_alike(tmp_path: Path) -> None:
    plain = load_corpus(write_corpus(tmp_path / "plain", FILES))
    packed = load_corpus(write_corpus(tmp_path / "gz", {f"{k}.gz": v for k, v in FILES.items()}))
    assert (packed.faqs, packed.train, packed.digest) == (plain.faqs, plain.train, plain.digest)


def test_text_is_taken_as_it_stands(tmp_path: Path) -> None:
    odd = '"Why" \u2028 \x0b does\x85 "it'
    table = f"\ufeffText\tId\tExtra\tAnswerId\r\n{odd}\tQ1\t\tA1\r\nb\tQ2\tx\tA2"
    corpus = load_corpus(write_corpus(tmp_path, {"questions.tsv": table}))
    assert [faq.question for faq in corpus.faqs] == [odd, "b"]


def test_digest_changes_with_any_table(tmp_path: Path) -> None:
    digests = {corpus_digest(write_corpus(tmp_path / "all", FILES))}
    for number, name in enumerate(FILES):
        changed = FILES | {name: FILES[name] + " "}
        digests.add(corpus_digest(write_corpus(tmp_path / str(number), changed)))
    without = {name: text for name, text in FILES.items() if name != "dupes_test.tsv"}
    digests.add(corpus_digest(write_corpus(tmp_path / "without", without)))
    assert len(digests) == len(FILES) + 2
    assert all(digest.startswith("sha256:") and len(digest) == 71 for digest in digests)


HEADER = "Id\tAnswerId\tText\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("questions.tsv", "", r"questions\.tsv:1: needs one column Id"),
        ("questions.tsv", "Id\tText\nQ1\ta\n", r"questions\.tsv:1: needs one column AnswerId"),
        ("questions.tsv", "Id\tId\tAnswerId\tText\n", r"questions\.tsv:1: needs one column Id"),
        ("questions.tsv", HEADER + "Q1\tA1\ta\n", "at least 2 FAQs, found 1"),
        ("questions.tsv", QUESTIONS + "Q3\tA3\n", r"questions\.tsv:4: 2 fields, the header has 3"),
        ("questions.tsv", QUESTIONS + "\n", r"questions\.tsv:4: 1 fields, the header has 3"),
        ("questions.tsv", QUESTIONS + "Q3\tA3\t  \n", r"questions\.tsv:4: empty Text"),
        ("questions.tsv", QUESTIONS + "\tA3\ta\n", r"questions\.tsv:4: empty Id"),
        ("questions.tsv", QUESTIONS + "Q1\tA3\ta\n", r"questions\.tsv:4: Id 'Q1' .* line 2"),
        ("questions.tsv", QUESTIONS + "Q3\tA2\ta\n", r"questions\.tsv:4: .*'A2'.*\.tsv:3"),
        ("questions.tsv", QUESTIONS.encode() + b"Q3\tA3\t\xff\n", r"questions\.tsv:4: not UTF-8"),
        ("answers.tsv", ANSWERS + "A9\ta\n", r"answers\.tsv:3: no question .* 'A9'"),
        ("answers.tsv", ANSWERS + "A1\ta\n", r"answers\.tsv:3: Id 'A1' .* line 2"),
        ("dupes_train.tsv", HEADER + "D1\tA9\ta\n", r"dupes_train\.tsv:2: no question .* 'A9'"),
        ("dupes_test.tsv", HEADER + "E1\tA9\ta\n", r"dupes_test\.tsv:2: no question .* 'A9'"),
        ("dupes_test.tsv", HEADER + "E\tA1\ta\nE\tA1\tb\n", r"dupes_test\.tsv:3: Id 'E'"),
        ("dupe_train.tsv", DUPLICATES, r"dupe_train\.tsv: not a table of a corpus"),
        ("questions.tsv.gz", QUESTIONS, r"questions\.tsv\.gz: the same table as questions\.tsv"),
    ],
)
def test_refuses_with_file_and_line(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    folder = write_corpus(tmp_path, {"questions.tsv": QUESTIONS, name: content})
    with pytest.raises(CorpusError, match=message):
        load_corpus(folder)


def test_refuses_a_damaged_archive(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path, {"questions.tsv": QUESTIONS, "dupes_train.tsv.gz": DUPLICATES})
    archive = folder / "dupes_train.tsv.gz"
    archive.write_bytes(archive.read_bytes()[:-12])
    with pytest.raises(CorpusError, match=r"dupes_train\.tsv\.gz:\d+: cannot be read"):
        load_corpus(folder)
    with pytest.raises(CorpusError, match=r"dupes_train\.tsv\.gz: cannot be read"):
        corpus_digest(folder)


def test_refuses_a_folder_without_questions(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"questions\.tsv: no such file"):
        load_corpus(tmp_path)
    with pytest.raises(CorpusError, match="no such folder"):
        load_corpus(tmp_path / "none")


def test_the_embedded_corpus_is_whole() -> None:
    corpus = load_corpus(JAVASCRIPT)
    assert len(corpus.faqs) >= 80
    for index, faq in enumerate(corpus.faqs):
        assert faq.answer, faq.id
        held_out = sum(example.faq == index for example in corpus.test)
        duplicates = held_out + sum(example.faq == index for example in corpus.train)
        assert held_out >= 2, faq.id
        assert duplicates >= 8, faq.id
