"""The corpus of an FAQ model: a folder of TSV files, read strictly (see `tables`).

`questions.tsv` (Id, AnswerId, Text) holds one original question for each FAQ. Optional beside it:

- `answers.tsv` (Id, Text, and Rank where an FAQ has several); the Id is the AnswerId. The answer
  with the smallest Rank, a number, is the FAQ's.
- `dupes_train.tsv`, `dupes_val.tsv`, `dupes_test.tsv` (Id, AnswerId, Text): other ways in which
  people asked the same.
- `oos_train.tsv`, `oos_val.tsv`, `oos_test.tsv` (Text): questions that match nothing.

An AnswerId of `dupes_train.tsv` that no original has is an FAQ too: its most central duplicate, of
equals that with the first Id, stands for it and is no duplicate any more. `questions.tsv` may then
hold its header alone.

Each may end in `.tsv.gz` instead. Columns beyond those named are allowed and unused. Without a
`dupes_test` (`oos_test`) a fifth of `dupes_train` (`oos_train`) is held out for it (see `split`),
the same questions each time; with one that holds its header alone, none is. Questions for
validation are never taken from the others: `val` is empty where there is no `dupes_val`.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from deployments.faq.central import most_central
from deployments.faq.split import choose_held_out
from deployments.faq.tables import (
    CorpusError,
    columns_of,
    corpus_digest,
    find_tables,
    read_table,
)

__all__ = [
    "JAVASCRIPT",
    "Corpus",
    "CorpusError",
    "Example",
    "Faq",
    "corpus_digest",
    "load_corpus",
]

JAVASCRIPT = Path(__file__).parent / "javascript"
"""The embedded corpus: questions about JavaScript, written for this project."""


@dataclass(frozen=True, slots=True)
class Faq:
    """One original question, with the text of its answer where the corpus has one."""

    id: str
    answer_id: str
    question: str
    answer: str | None


@dataclass(frozen=True, slots=True)
class Example:
    """A question that people asked; `faq` is the index of the FAQ it is a duplicate of."""

    text: str
    faq: int


@dataclass(frozen=True)
class Corpus:
    """At least two FAQs, their duplicates, and questions out of scope, which match none.

    `digest` is the `corpus_digest` of the folder.
    """

    faqs: tuple[Faq, ...]
    train: tuple[Example, ...]
    test: tuple[Example, ...]
    name: str
    digest: str
    val: tuple[Example, ...] = ()
    oos_train: tuple[str, ...] = ()
    oos_val: tuple[str, ...] = ()
    oos_test: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.faqs) < 2:
            raise CorpusError(f"{self.name}: ranking needs at least 2 FAQs, found {len(self.faqs)}")


class _Row(NamedTuple):
    line: int
    id: str
    answer_id: str
    text: str


_Files = Mapping[str, Path]


def load_corpus(folder: Path) -> Corpus:
    """Read and check the corpus in `folder`.

    Raises CorpusError, with file and line, where a file is missing, is not UTF-8, lacks a column,
    has a row of another length, an empty field or an Id twice, where two questions share an
    AnswerId, an FAQ has two answers of one Rank, an answer or a held-out duplicate belongs to no
    FAQ, and where there is one FAQ or none.
    """
    files = find_tables(folder)
    questions = list(_rows(files, "questions"))
    index = _index_by_answer(files["questions"], questions)
    duplicates = list(_rows(files, "dupes_train"))
    for row in duplicates:
        index.setdefault(row.answer_id, len(index))
    if len(index) < 2:
        place = f"{files['questions']}:{questions[-1].line if questions else 1}"
        raise CorpusError(f"{place}: ranking needs at least 2 FAQs, found {len(index)}")
    train, test = _hold_out(files, duplicates)
    stand_ins = _stand_ins(train, index, len(questions))
    _check_ids(files, questions, stand_ins)
    answers = _answers(files, index)
    moved = {row.id for row in stand_ins}
    oos_train, oos_test = _hold_out_of_scope(files)
    return Corpus(
        faqs=tuple(
            Faq(row.id, row.answer_id, row.text, answers.get(row.answer_id))
            for row in (*questions, *stand_ins)
        ),
        train=tuple(Example(r.text, index[r.answer_id]) for r in train if r.id not in moved),
        val=_examples(files, "dupes_val", _rows(files, "dupes_val"), index),
        test=_examples(files, "dupes_test", test, index),
        oos_train=oos_train,
        oos_val=_texts(files, "oos_val"),
        oos_test=oos_test,
        name=folder.resolve().name,
        digest=corpus_digest(folder),
    )


def _rows(files: _Files, table: str) -> Iterator[_Row]:
    """The rows of a table of questions, where there is one; each Id stands in it once."""
    if table not in files:
        return
    seen: dict[str, int] = {}
    for line, (id_, answer_id, text) in read_table(files[table], ("Id", "AnswerId", "Text")):
        if (first := seen.setdefault(id_, line)) != line:
            place = f"{files[table]}:{line}"
            raise CorpusError(f"{place}: Id {id_!r} stands in line {first} already")
        yield _Row(line, id_, answer_id, text)


def _texts(files: _Files, table: str) -> tuple[str, ...]:
    if table not in files:
        return ()
    return tuple(text for _, (text,) in read_table(files[table], ("Text",)))


def _index_by_answer(path: Path, questions: Sequence[_Row]) -> dict[str, int]:
    index: dict[str, int] = {}
    for number, row in enumerate(questions):
        if row.answer_id in index:
            other = f"{path}:{questions[index[row.answer_id]].line}"
            place = f"{path}:{row.line}"
            raise CorpusError(f"{place}: AnswerId {row.answer_id!r} is that of {other} already")
        index[row.answer_id] = number
    return index


def _hold_out(files: _Files, duplicates: list[_Row]) -> tuple[list[_Row], list[_Row]]:
    if "dupes_test" in files:
        return duplicates, list(_rows(files, "dupes_test"))
    chosen = choose_held_out((row.answer_id, row.text) for row in duplicates)
    kept = [row for row in duplicates if (row.answer_id, row.text) not in chosen]
    held_out = [row for row in duplicates if (row.answer_id, row.text) in chosen]
    return kept, held_out


def _hold_out_of_scope(files: _Files) -> tuple[tuple[str, ...], tuple[str, ...]]:
    texts = _texts(files, "oos_train")
    if "oos_test" in files:
        return texts, _texts(files, "oos_test")
    chosen = {text for _, text in choose_held_out((0, text) for text in texts)}
    kept = tuple(text for text in texts if text not in chosen)
    return kept, tuple(text for text in texts if text in chosen)


def _stand_ins(train: list[_Row], index: Mapping[str, int], originals: int) -> list[_Row]:
    """A duplicate for each FAQ without an original, in the order of the FAQs."""
    groups: list[list[_Row]] = [[] for _ in range(len(index) - originals)]
    for row in train:
        if (group := index[row.answer_id] - originals) >= 0:
            groups[group].append(row)
    for rows in groups:
        # Of equals the first is taken, and the order of the file should not decide.
        rows.sort(key=lambda row: row.id)
    best = most_central([[row.text for row in group] for group in groups])
    return [group[place] for group, place in zip(groups, best, strict=True)]


def _check_ids(files: _Files, questions: Sequence[_Row], stand_ins: Sequence[_Row]) -> None:
    lines = {row.id: row.line for row in questions} if stand_ins else {}
    for row in stand_ins:
        if row.id in lines:
            other = f"{files['questions']}:{lines[row.id]}"
            message = f"stands for {row.answer_id!r}, but has the Id {row.id!r} of {other}"
            raise CorpusError(f"{files['dupes_train']}:{row.line}: {message}")


def _answers(files: _Files, index: Mapping[str, int]) -> dict[str, str]:
    """The text with the smallest Rank for each AnswerId that has one."""
    if "answers" not in files:
        return {}
    path = files["answers"]
    ranked = ("Rank",) if "Rank" in columns_of(path) else ()
    seen: dict[tuple[str, float], int] = {}
    best: dict[str, tuple[float, str]] = {}
    for line, (id_, text, *cells) in read_table(path, ("Id", "Text", *ranked)):
        place = f"{path}:{line}"
        _check_known(place, id_, index)
        rank = _rank(place, cells[0]) if cells else 0.0
        if (first := seen.setdefault((id_, rank), line)) != line:
            alike = f" with Rank {cells[0]}" if cells else ""
            raise CorpusError(f"{place}: Id {id_!r}{alike} stands in line {first} already")
        if id_ not in best or rank < best[id_][0]:
            best[id_] = rank, text
    return {answer_id: text for answer_id, (_, text) in best.items()}


def _rank(place: str, cell: str) -> float:
    try:
        rank = float(cell)
    except ValueError:
        rank = math.nan
    if math.isnan(rank):
        raise CorpusError(f"{place}: Rank {cell!r} is not a number")
    return rank


def _examples(
    files: _Files, table: str, rows: Iterator[_Row] | list[_Row], index: Mapping[str, int]
) -> tuple[Example, ...]:
    examples = []
    for row in rows:
        if row.answer_id not in index:
            _check_known(f"{files[table]}:{row.line}", row.answer_id, index)
        examples.append(Example(row.text, index[row.answer_id]))
    return tuple(examples)


def _check_known(place: str, answer_id: str, index: Mapping[str, int]) -> None:
    if answer_id not in index:
        message = f"no question and no training duplicate has the AnswerId {answer_id!r}"
        raise CorpusError(f"{place}: {message}")
