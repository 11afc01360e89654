"""Reads the three tables of the reference implementation, and cleans and splits them as it does.

That is the data preparation of Microsoft's "AKS deployment of a Python model", whose questions,
duplicates and answers are gzipped TSV files with the columns Id, AnswerId, Text0, CreationDate
(answers: Id and Text0), quoted as pandas does, without a header. Files with a header are read by
their names. Its settings: texts of 150 characters at least, 12 duplicates at least, and the share
of 0.21 of each FAQ's duplicates, rounded down, but one at least, for the test.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from deployments.faq.preparation.cleaning import clean_html, one_line
from deployments.faq.preparation.draft import Draft, Record
from deployments.faq.preparation.reading import Cells, name_cells, read_quoted_tsv
from deployments.faq.preparation.selection import Rules, select
from deployments.faq.split import seeded

MIN_TEXT = 150
MIN_DUPLICATES = 12
TEST_SIZE = 0.21

_COLUMNS = ("Id", "AnswerId", "Text0", "CreationDate")
_ANSWER_COLUMNS = ("Id", "Text0")


def read_reference(
    questions: Path,
    duplicates: Path,
    answers: Path,
    *,
    min_text: int = MIN_TEXT,
    min_duplicates: int = MIN_DUPLICATES,
    test_size: float = TEST_SIZE,
    seed: int = 0,
    progress: bool = True,
) -> Draft:
    """The draft of a corpus in which each FAQ has an original, an answer and duplicates.

    Raises CorpusError where a file is not UTF-8 or lacks a column.
    """
    draft = Draft()
    draft.table("questions").extend(_records(questions, draft, progress))
    draft.table("dupes_train").extend(_records(duplicates, draft, progress))
    draft.table("answers").extend(_records(answers, draft, progress, answers=True))
    select(draft, Rules(text=min_text, duplicates=min_duplicates, answered=True))
    _hold_out(draft, test_size, seed)
    return draft


def _records(
    path: Path, draft: Draft, progress: bool, *, answers: bool = False
) -> Iterator[Record]:
    rows = read_quoted_tsv(path, draft, progress=progress)
    header, rows = _header(rows, answers)
    answer_id = "AnswerId" if "AnswerId" in header else "Id"
    columns = ("Id", "Text0") if answers else ("Id", "AnswerId", "Text0")
    for place, cells in name_cells(path, header, rows, sorted({*columns, answer_id}), draft):
        id_, answer = one_line(cells["Id"]), one_line(cells[answer_id])
        if id_ and answer:
            text = clean_html(cells["Text0"]).lower()
            yield Record(place, answer if answers else id_, answer, text)
        else:
            draft.reject(place, "no Id or AnswerId")


def _header(rows: Iterator[Cells], answers: bool) -> tuple[Sequence[str], Iterator[Cells]]:
    """The names of the columns, in the file or not, and the rows without them."""
    first = next(rows, None)
    if first is None:
        return (), rows
    if "Id" in (cell.strip() for cell in first[1]):
        return first[1], rows
    short = answers and len(first[1]) == len(_ANSWER_COLUMNS)
    return _ANSWER_COLUMNS if short else _COLUMNS, chain([first], rows)


def _hold_out(draft: Draft, test_size: float, seed: int) -> None:
    by_faq: dict[str, list[Record]] = {}
    for record in draft.table("dupes_train"):
        by_faq.setdefault(record.answer_id, []).append(record)
    chosen: set[str] = set()
    for records in by_faq.values():
        shuffled = sorted(records, key=lambda record: seeded(record.id, seed))
        chosen.update(record.id for record in shuffled[: max(1, int(test_size * len(records)))])
    duplicates = draft.table("dupes_train")
    draft.tables["dupes_train"] = [record for record in duplicates if record.id not in chosen]
    draft.tables["dupes_test"] = [record for record in duplicates if record.id in chosen]
