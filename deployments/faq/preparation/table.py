"""Reads FAQs or labelled questions from CSV, TSV or JSONL files with columns of any name.

Without a column of intents, a row is an FAQ: a question, and an answer where there is a column of
them. Other files may hold its duplicates. With a column of intents, a row is a question that
people asked, and those with one intent ask the same; none of them is an original.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deployments.faq.preparation.cleaning import one_line
from deployments.faq.preparation.draft import Draft, Place, Record
from deployments.faq.preparation.reading import Row, read_rows
from deployments.faq.preparation.selection import Rules, select
from deployments.faq.tables import CorpusError

MIN_TEXT = 1
MIN_DUPLICATES = 0


@dataclass(frozen=True)
class Columns:
    """Names of columns. Without `id` the FAQs are numbered; `duplicate` is by default `question`.

    `duplicate_of` names the FAQ that a duplicate asks for, by its `id`.
    """

    question: str = "question"
    answer: str | None = None
    id: str | None = None
    intent: str | None = None
    duplicate: str | None = None
    duplicate_of: str | None = None


@dataclass(frozen=True)
class Files:
    """What to read: the FAQs or labelled questions, and what may stand beside them.

    Where there are intents, `val` and `test` have the columns of `questions`, else those of
    `duplicates`. Questions out of scope need the column of the question alone.
    """

    questions: Sequence[Path]
    duplicates: Sequence[Path] = ()
    val: Sequence[Path] = ()
    test: Sequence[Path] = ()
    out_of_scope: Sequence[Path] = ()
    out_of_scope_test: Sequence[Path] = ()


def read_table(
    files: Files,
    columns: Columns,
    *,
    out_of_scope_intent: str | None = None,
    min_text: int = MIN_TEXT,
    min_duplicates: int = MIN_DUPLICATES,
    progress: bool = True,
) -> Draft:
    """The draft of a corpus; questions with the `out_of_scope_intent` match no FAQ.

    Raises CorpusError where columns that the files need are not named, or named for nothing, and
    where a file is not UTF-8 or lacks one of them.
    """
    _check(files, columns, out_of_scope_intent)
    draft = Draft()
    if columns.intent is None:
        _read_faqs(files.questions, columns, draft, progress)
        train, text, label = files.duplicates, columns.duplicate, columns.duplicate_of
    else:
        train, text, label = files.questions, columns.question, columns.intent
    if label is not None:
        reader = _Labelled(draft, text or columns.question, label, out_of_scope_intent, progress)
        reader.read(train, "train")
        reader.read(files.val, "val")
        reader.read(files.test, "test")
    for part, paths in (("train", files.out_of_scope), ("test", files.out_of_scope_test)):
        for place, cells in _rows(paths, [columns.question], draft, progress):
            _add_out_of_scope(draft, part, place, cells[columns.question])
    select(draft, Rules(text=min_text, duplicates=min_duplicates))
    return draft


def _check(files: Files, columns: Columns, out_of_scope_intent: str | None) -> None:
    if columns.intent is not None:
        if files.duplicates or columns.duplicate or columns.duplicate_of:
            raise CorpusError("labelled questions have an intent, and no files of duplicates")
        if columns.answer or columns.id:
            raise CorpusError("labelled questions have no columns of ids and answers")
        return
    if out_of_scope_intent is not None:
        raise CorpusError("an intent is out of scope only where there is a column of intents")
    labelled = bool(files.duplicates or files.val or files.test)
    if labelled and (columns.id is None or columns.duplicate_of is None):
        raise CorpusError("duplicates need a column with the FAQ of each, and the FAQs one of ids")
    if not labelled and (columns.duplicate or columns.duplicate_of):
        raise CorpusError("columns of duplicates are named, but no file with duplicates")


def _read_faqs(paths: Sequence[Path], columns: Columns, draft: Draft, progress: bool) -> None:
    names = [name for name in (columns.question, columns.answer, columns.id) if name is not None]
    for number, (place, cells) in enumerate(_rows(paths, names, draft, progress), 1):
        id_ = str(number) if columns.id is None else cells[columns.id]
        if not id_:
            draft.reject(place, f"no {columns.id}")
            continue
        draft.table("questions").append(Record(place, id_, id_, cells[columns.question]))
        if columns.answer is not None and cells[columns.answer]:
            draft.table("answers").append(Record(place, id_, id_, cells[columns.answer]))


@dataclass(frozen=True)
class _Labelled:
    """Reads files in which each row has a question and names its FAQ or its intent."""

    draft: Draft
    text: str
    label: str
    out_of_scope: str | None
    progress: bool

    def read(self, paths: Sequence[Path], part: str) -> None:
        table = self.draft.table(f"dupes_{part}")
        for place, cells in _rows(paths, [self.text, self.label], self.draft, self.progress):
            label = cells[self.label]
            if not label:
                self.draft.reject(place, f"no {self.label}")
            elif label == self.out_of_scope:
                _add_out_of_scope(self.draft, part, place, cells[self.text])
            else:
                # The ids of the FAQs are the user's; the prefix keeps these apart from them.
                table.append(Record(place, f"{part}:{len(table) + 1}", label, cells[self.text]))


def _add_out_of_scope(draft: Draft, part: str, place: Place, text: str) -> None:
    table = draft.table(f"oos_{part}")
    table.append(Record(place, f"oos_{part}:{len(table) + 1}", "-", text))


def _rows(
    paths: Sequence[Path], columns: Sequence[str], draft: Draft, progress: bool
) -> Iterator[Row]:
    for path in paths:
        for place, cells in read_rows(path, columns, draft, progress=progress):
            yield place, {column: one_line(cell) for column, cell in cells.items()}
