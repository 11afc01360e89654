import csv
import gzip
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from deployments.faq.corpus import CorpusError
from deployments.faq.preparation.draft import Draft
from deployments.faq.preparation.reference import read_reference

LONG = "and here is the whole of my long story, told twice " * 4
HEADER = ("Id", "AnswerId", "Text0", "CreationDate")


def write(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t", lineterminator="\n").writerows(rows)
    return path


def question(number: int, answer: int, text: str = LONG) -> tuple[str, ...]:
    return (str(number), str(answer), f"Question {number}. <p>{text}</p>", "2010-01-01 00:00:00")


def read(
    folder: Path,
    questions: Sequence[Sequence[str]],
    duplicates: Sequence[Sequence[str]],
    answers: Sequence[Sequence[str]],
    **options: int,
) -> Draft:
    return read_reference(
        write(folder / "orig-q.tsv.gz", questions),
        write(folder / "dup-q.tsv.gz", duplicates),
        write(folder / "ans.tsv.gz", answers),
        progress=False,
        **options,
    )


def ids(draft: Draft, table: str) -> list[str]:
    return [record.id for record in draft.table(table)]


ANSWERS = [("10", "<p>Do <code>THIS</code></p>"), ("20", "That"), ("30", "Other")]


def test_cleans_filters_and_splits(tmp_path: Path) -> None:
    questions = [question(1, 10), question(2, 20), question(3, 30)]
    duplicates = [question(100 + n, 10) for n in range(12)] + [
        question(200 + n, 20) for n in range(20)
    ]
    draft = read(tmp_path, questions, [*duplicates, *duplicates[:1], question(300, 30)], ANSWERS)
    assert ids(draft, "questions") == ["1", "2"]
    assert draft.table("questions")[0].text == f"question 1. {LONG}".strip()
    assert [(row.id, row.text) for row in draft.table("answers")] == [
        ("10", "do this"),
        ("20", "that"),
    ]
    # A share of 0.21, rounded down.
    assert Counter(row.answer_id for row in draft.table("dupes_test")) == {"10": 2, "20": 4}
    assert Counter(row.answer_id for row in draft.table("dupes_train")) == {"10": 10, "20": 16}
    assert Counter(reason for _, reason in draft.rejected) == {
        "the Id of an earlier row": 1,
        "an FAQ with fewer than 12 duplicates": 2,
        "an answer to no kept question": 1,
    }


def test_what_is_left_out_is_named_by_line(tmp_path: Path) -> None:
    questions = [question(1, 10), question(2, 20), question(3, 40), question(4, 30, "short")]
    duplicates = [
        question(101, 10),
        ("102", "10", "<pre><code>only code</code></pre>", ""),
        question(103, 99),
        question(2, 10),
        ("", "10", LONG, ""),
        ("104", "10", LONG),
        question(105, 20),
    ]
    draft = read(tmp_path, questions, duplicates, ANSWERS, min_duplicates=1)
    assert ids(draft, "questions") == ["1", "2"]
    found = {(place.file.name, place.line, reason) for place, reason in draft.rejected}
    assert found == {
        ("dup-q.tsv.gz", 2, "empty text"),
        ("dup-q.tsv.gz", 3, "a duplicate of no kept question"),
        ("dup-q.tsv.gz", 4, "an original question too"),
        ("dup-q.tsv.gz", 5, "no Id or AnswerId"),
        ("dup-q.tsv.gz", 6, "3 fields, the header has 4"),
        ("orig-q.tsv.gz", 3, "no answer"),
        ("orig-q.tsv.gz", 4, "text shorter than 150 characters"),
        ("ans.tsv.gz", 3, "an answer to no kept question"),
    }


def test_reads_columns_by_name_where_there_is_a_header(tmp_path: Path) -> None:
    questions = [HEADER, question(1, 10), question(2, 20)]
    duplicates = [HEADER, question(101, 10), question(102, 20)]
    answers = [HEADER, ("7", "10", "this", ""), ("8", "20", "that", "")]
    draft = read(tmp_path, questions, duplicates, answers, min_duplicates=1)
    assert ids(draft, "answers") == ["10", "20"]
    # One at least of each FAQ is for the test.
    assert (ids(draft, "dupes_train"), ids(draft, "dupes_test")) == ([], ["101", "102"])


def test_the_seed_decides_the_split(tmp_path: Path) -> None:
    questions = [question(1, 10), question(2, 20)]
    duplicates = [question(100 + n, 10 + 10 * (n % 2)) for n in range(60)]
    splits = [
        ids(read(tmp_path, questions, rows, ANSWERS, seed=seed), "dupes_test")
        for rows, seed in ((duplicates, 0), (duplicates[::-1], 0), (duplicates, 1))
    ]
    assert splits[0] == splits[1][::-1]
    assert splits[0] != splits[2]


def test_refuses_a_missing_column(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"orig-q\.tsv\.gz:1: needs one column AnswerId"):
        read(tmp_path, [("Id", "Text0"), ("1", "a")], [], [])
    with pytest.raises(CorpusError, match=r"orig-q\.tsv\.gz:1: needs one column"):
        read(tmp_path, [], [], [])
