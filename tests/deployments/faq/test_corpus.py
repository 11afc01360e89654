from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_reads_what_is_out_of_scope_and_for_validation(tmp_path: Path) -> None:
    tables = {
        "dupes_val.tsv": DUPLICATES,
        "oos_train.tsv.gz": "Text\nHow tall is the tower?\nSing me a song\n",
        "oos_val.tsv": "Id\tText\nO1\tWhat is for lunch?\n",
        "oos_test.tsv": "Text\tId\nTell me a joke\t\n",
    }
    corpus = load_corpus(write_corpus(tmp_path, FILES | tables))
    assert corpus.val == corpus.train
    assert corpus.oos_train == ("How tall is the tower?", "Sing me a song")
    assert (corpus.oos_val, corpus.oos_test) == (("What is for lunch?",), ("Tell me a joke",))


def test_the_answer_is_the_one_with_the_smallest_rank(tmp_path: Path) -> None:
    answers = "Rank\tId\tText\n10\tA1\tcall us\n-1.5\tA1\twrite us\n2\tA1\tpray\n2\tA2\twait\n"
    corpus = load_corpus(write_corpus(tmp_path, FILES | {"answers.tsv": answers}))
    assert [faq.answer for faq in corpus.faqs] == ["write us", "wait"]


def test_an_intent_without_an_original_has_its_most_central_duplicate(tmp_path: Path) -> None:
    duplicates = HEADER + (
        "D1\tcard\tmy card was stolen on holiday\nD2\tA1\tforgot password\n"
        "D3\tcard\tstolen card\nD4\tcard\tI want to report a stolen card\n"
        "D5\trate\texchange rates\n"
    )
    answers = ANSWERS + "card\tBlock it.\n"
    tables = FILES | {"dupes_train.tsv": duplicates, "answers.tsv": answers}
    corpus = load_corpus(write_corpus(tmp_path, tables))
    assert corpus.faqs[2:] == (
        Faq("D3", "card", "stolen card", "Block it."),
        Faq("D5", "rate", "exchange rates", None),
    )
    assert corpus.train == (
        Example("my card was stolen on holiday", 2),
        Example("forgot password", 0),
        Example("I want to report a stolen card", 2),
    )


def test_intents_alone_are_enough(tmp_path: Path) -> None:
    duplicates = HEADER + "".join(f"D{n}\tintent{n % 3}\task {n}\n" for n in range(30))
    tables = {"questions.tsv": HEADER, "dupes_train.tsv": duplicates}
    corpus = load_corpus(write_corpus(tmp_path, tables))
    assert [faq.answer_id for faq in corpus.faqs] == ["intent0", "intent1", "intent2"]
    assert (len(corpus.train), len(corpus.test)) == (21, 6)


def test_holds_out_a_fifth_where_there_is_no_test(tmp_path: Path) -> None:
    duplicates = HEADER + "".join(f"D{n}\tA{n % 2 + 1}\task {n}\n" for n in range(40))
    scope = "Text\n" + "".join(f"other {n}\n" for n in range(10))
    tables = {"questions.tsv": QUESTIONS, "dupes_train.tsv": duplicates, "oos_train.tsv": scope}
    corpus = load_corpus(write_corpus(tmp_path, tables))
    assert Counter(example.faq for example in corpus.test) == {0: 4, 1: 4}
    assert len(corpus.train) == 32
    assert not set(corpus.train) & set(corpus.test)
    assert (len(corpus.oos_train), len(corpus.oos_test)) == (8, 2)
    assert corpus.val == ()
    assert corpus.oos_val == ()


def test_a_test_with_its_header_alone_holds_nothing_out(tmp_path: Path) -> None:
    tables = FILES | {"dupes_test.tsv": HEADER, "oos_train.tsv": "Text\na\nb\n"}
    corpus = load_corpus(write_corpus(tmp_path, tables | {"oos_test.tsv": "Text\n"}))
    assert (len(corpus.train), corpus.test) == (2, ())
    assert (corpus.oos_train, corpus.oos_test) == (("a", "b"), ())


@given(st.permutations([(f"D{n}", f"A{n % 4}", f"ask {n // 2}") for n in range(24)]))
def test_the_order_of_rows_does_not_matter(rows: list[tuple[str, str, str]]) -> None:
    def contents(rows: list[tuple[str, str, str]]) -> list[list[tuple[str, str]]]:
        duplicates = HEADER + "".join("\t".join(row) + "\n" for row in rows)
        with TemporaryDirectory() as folder:
            tables = {"questions.tsv": QUESTIONS, "dupes_train.tsv": duplicates}
            corpus = load_corpus(write_corpus(Path(folder), tables))
        return [
            sorted((corpus.faqs[example.faq].answer_id, example.text) for example in examples)
            for examples in (corpus.train, corpus.test)
        ]

    assert contents(rows) == contents(sorted(rows))


HEADER = "Id\tAnswerId\tText\n"
RANKED = "Id\tRank\tText\nA1\t2\ta\n"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("questions.tsv", "", r"questions\.tsv:1: needs one column Id"),
        ("questions.tsv", "Id\tText\nQ1\ta\n", r"questions\.tsv:1: needs one column AnswerId"),
        ("questions.tsv", "Id\tId\tAnswerId\tText\n", r"questions\.tsv:1: needs one column Id"),
        ("questions.tsv", HEADER + "Q1\tA1\ta\n", r"questions\.tsv:2: .* 2 FAQs, found 1"),
        ("questions.tsv", HEADER, r"questions\.tsv:1: .* 2 FAQs, found 0"),
        ("questions.tsv", QUESTIONS + "Q3\tA3\n", r"questions\.tsv:4: 2 fields, the header has 3"),
        ("questions.tsv", QUESTIONS + "\n", r"questions\.tsv:4: 1 fields, the header has 3"),
        ("questions.tsv", QUESTIONS + "Q3\tA3\t  \n", r"questions\.tsv:4: empty Text"),
        ("questions.tsv", QUESTIONS + "\tA3\ta\n", r"questions\.tsv:4: empty Id"),
        ("questions.tsv", QUESTIONS + "Q1\tA3\ta\n", r"questions\.tsv:4: Id 'Q1' .* line 2"),
        ("questions.tsv", QUESTIONS + "Q3\tA2\ta\n", r"questions\.tsv:4: .*'A2'.*\.tsv:3"),
        ("questions.tsv", QUESTIONS.encode() + b"Q3\tA3\t\xff\n", r"questions\.tsv:4: not UTF-8"),
        ("answers.tsv", ANSWERS + "A9\ta\n", r"answers\.tsv:3: no question .* 'A9'"),
        ("answers.tsv", ANSWERS + "A1\ta\n", r"answers\.tsv:3: Id 'A1' .* line 2"),
        ("answers.tsv", RANKED + "A1\t2\tb\n", r"answers\.tsv:3: Id 'A1' with Rank 2 .* line 2"),
        ("answers.tsv", RANKED + "A2\tbest\tb\n", r"answers\.tsv:3: Rank 'best' is not a number"),
        ("answers.tsv", RANKED + "A2\tnan\tb\n", r"answers\.tsv:3: Rank 'nan' is not a number"),
        ("answers.tsv", RANKED + "A2\t\tb\n", r"answers\.tsv:3: empty Rank"),
        ("dupes_train.tsv", HEADER + "Q1\tA9\ta\n", r"dupes_train\.tsv:2: .*'Q1' of .*\.tsv:2"),
        ("dupes_val.tsv", HEADER + "V1\tA9\ta\n", r"dupes_val\.tsv:2: no question .* 'A9'"),
        ("oos_val.tsv", "Question\na\n", r"oos_val\.tsv:1: needs one column Text"),
        ("oos_train.tsv", "Id\tText\nO1\t\n", r"oos_train\.tsv:2: empty Text"),
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
    assert len(corpus.oos_train) >= 100
    assert len(corpus.oos_test) >= 50
    assert not set(corpus.oos_train) & set(corpus.oos_test)
