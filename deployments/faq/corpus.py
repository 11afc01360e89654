"""The corpus of an FAQ model: a folder of TSV files, read strictly.

`questions.tsv` (Id, AnswerId, Text) holds one original question for each FAQ. Optional beside it:
`answers.tsv` (Id, Text; the Id is the AnswerId), `dupes_train.tsv` and `dupes_test.tsv` (Id,
AnswerId, Text): other ways in which people asked the same. UTF-8, header row, tab separated, no
quoting. Each may end in `.tsv.gz` instead. Columns beyond those named are allowed and unused.
"""

import gzip
import hashlib
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

JAVASCRIPT = Path(__file__).parent / "javascript"
"""The embedded corpus: questions about JavaScript, written for this project."""

_COLUMNS = {
    "questions": ("Id", "AnswerId", "Text"),
    "answers": ("Id", "Text"),
    "dupes_train": ("Id", "AnswerId", "Text"),
    "dupes_test": ("Id", "AnswerId", "Text"),
}
_READ_ERRORS = (OSError, EOFError, zlib.error)
_BLOCK_BYTES = 1 << 20


class CorpusError(ValueError):
    """A corpus that cannot be used; the message names the file and the line, if there is one."""


@dataclass(frozen=True)
class Faq:
    """One original question, with the text of its answer where the corpus has one."""

    id: str
    answer_id: str
    question: str
    answer: str | None


@dataclass(frozen=True)
class Example:
    """A question that people asked; `faq` is the index of the FAQ it is a duplicate of."""

    text: str
    faq: int


@dataclass(frozen=True)
class Corpus:
    """At least two FAQs and their duplicates; `digest` is the `corpus_digest` of the folder."""

    faqs: tuple[Faq, ...]
    train: tuple[Example, ...]
    test: tuple[Example, ...]
    name: str
    digest: str

    def __post_init__(self) -> None:
        if len(self.faqs) < 2:
            raise CorpusError(f"{self.name}: ranking needs at least 2 FAQs, found {len(self.faqs)}")


@dataclass(frozen=True)
class _Row:
    place: str
    id: str
    answer_id: str
    text: str


def load_corpus(folder: Path) -> Corpus:
    """Read and check the corpus in `folder`.

    Raises CorpusError, with file and line, where a file is missing, is not UTF-8, lacks a column,
    has a row of another length, an empty field or an Id twice, where two questions share an
    AnswerId, and where an answer or a duplicate belongs to no question.
    """
    files = _files(folder)
    questions = list(_rows(files, "questions"))
    index = _index_by_answer(questions)
    answers: dict[str, str] = {}
    for row in _rows(files, "answers"):
        _faq_of(row, index)
        answers[row.answer_id] = row.text
    return Corpus(
        faqs=tuple(
            Faq(row.id, row.answer_id, row.text, answers.get(row.answer_id)) for row in questions
        ),
        train=tuple(Example(r.text, _faq_of(r, index)) for r in _rows(files, "dupes_train")),
        test=tuple(Example(r.text, _faq_of(r, index)) for r in _rows(files, "dupes_test")),
        name=folder.resolve().name,
        digest=corpus_digest(folder),
    )


def corpus_digest(folder: Path) -> str:
    """`sha256:` and the hash of the files' uncompressed content, without parsing them.

    A folder with another name, or with gzipped files, has the same digest.
    """
    total = hashlib.sha256()
    for table, path in sorted(_files(folder).items()):
        content = hashlib.sha256()
        try:
            with _open(path) as file:
                while block := file.read(_BLOCK_BYTES):
                    content.update(block)
        except _READ_ERRORS as error:
            raise CorpusError(f"{path}: cannot be read: {error}") from error
        total.update(f"{table} {content.hexdigest()}\n".encode())
    return f"sha256:{total.hexdigest()}"


def _files(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise CorpusError(f"{folder}: no such folder")
    files: dict[str, Path] = {}
    for path in sorted([*folder.glob("*.tsv"), *folder.glob("*.tsv.gz")]):
        table = path.name.removesuffix(".gz").removesuffix(".tsv")
        if table not in _COLUMNS:
            # A misspelled name would otherwise train a model without its duplicates.
            raise CorpusError(f"{path}: not a table of a corpus, which are {', '.join(_COLUMNS)}")
        if table in files:
            raise CorpusError(f"{path}: the same table as {files[table].name}")
        files[table] = path
    if "questions" not in files:
        raise CorpusError(f"{folder / 'questions.tsv'}: no such file")
    return files


def _open(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _rows(files: Mapping[str, Path], table: str) -> Iterator[_Row]:
    if table not in files:
        return
    path, columns = files[table], _COLUMNS[table]
    lines = _lines(path)
    header = next(lines, (1, ""))[1].split("\t")
    for column in columns:
        if header.count(column) != 1:
            raise CorpusError(f"{path}:1: needs one column {column}, the header is {header}")
    seen: dict[str, int] = {}
    for number, line in lines:
        place = f"{path}:{number}"
        fields = dict(zip(columns, _fields(place, line, header, columns), strict=True))
        if (first := seen.setdefault(fields["Id"], number)) != number:
            raise CorpusError(f"{place}: Id {fields['Id']!r} stands in line {first} already")
        yield _Row(place, fields["Id"], fields.get("AnswerId", fields["Id"]), fields["Text"])


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Line numbers from 1 with their text; split at line feeds alone, as a text may hold others."""
    number = 0
    try:
        with _open(path) as file:
            for number, raw in enumerate(file, 1):
                # The signature that some spreadsheets put in front is no part of the header.
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                yield number, text.removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}:{number}: not UTF-8: {error.reason}") from error
    except _READ_ERRORS as error:
        raise CorpusError(f"{path}:{number + 1}: cannot be read: {error}") from error


def _fields(place: str, line: str, header: list[str], columns: tuple[str, ...]) -> list[str]:
    cells = line.split("\t")
    if len(cells) != len(header):
        raise CorpusError(f"{place}: {len(cells)} fields, the header has {len(header)}")
    values = [cells[header.index(column)].strip() for column in columns]
    for column, value in zip(columns, values, strict=True):
        if not value:
            raise CorpusError(f"{place}: empty {column}")
    return values


def _index_by_answer(questions: list[_Row]) -> dict[str, int]:
    index: dict[str, int] = {}
    for number, row in enumerate(questions):
        if row.answer_id in index:
            other = questions[index[row.answer_id]].place
            raise CorpusError(f"{row.place}: AnswerId {row.answer_id!r} is that of {other} already")
        index[row.answer_id] = number
    return index


def _faq_of(row: _Row, index: Mapping[str, int]) -> int:
    if row.answer_id not in index:
        raise CorpusError(f"{row.place}: no question has the AnswerId {row.answer_id!r}")
    return index[row.answer_id]
