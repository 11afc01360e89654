"""Reads the rows of CSV, TSV and JSONL files, with a progress bar over the bytes."""

import csv
import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from tqdm import tqdm

from deployments.faq.preparation.draft import Draft, Place
from deployments.faq.tables import READ_ERRORS, CorpusError

Cells = tuple[Place, list[str]]
Row = tuple[Place, dict[str, str]]


@contextmanager
def open_counted(
    path: Path, *, progress: bool
) -> Iterator[tuple[BufferedReader | gzip.GzipFile, Callable[[], object]]]:
    """The uncompressed bytes, and what to call to bring the progress bar on stderr up to date.

    The bar counts the bytes of the file itself, compressed or not.
    """
    with (
        path.open("rb") as raw,
        tqdm(
            total=path.stat().st_size,
            desc=path.name,
            unit="B",
            unit_scale=True,
            disable=not progress,
        ) as bar,
    ):
        file = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
        yield file, lambda: bar.update(raw.tell() - bar.n)


def read_rows(path: Path, columns: Sequence[str], draft: Draft, *, progress: bool) -> Iterator[Row]:
    """The cells of `columns` in a `.csv`, `.tsv` or `.jsonl` file, with or without `.gz`.

    CSV is that of RFC 4180, with a header; TSV has a header and no quoting (the media type
    text/tab-separated-values); JSONL has an object a line, whose texts and numbers are cells, and
    in which what is missing or null is empty. A row that breaks the form is rejected in `draft`.
    Raises CorpusError where the file is not UTF-8, or its header has not each column once.
    """
    lines = _lines(path, progress)
    match path.name.removesuffix(".gz").rpartition(".")[2]:
        case "csv":
            cells = split_quoted(path, lines, ",", draft)
        case "tsv":
            cells = _split_plain(path, lines)
        case "jsonl":
            yield from _parse_objects(path, lines, columns, draft)
            return
        case _:
            raise CorpusError(f"{path}: neither .csv nor .tsv nor .jsonl, with or without .gz")
    header = next(cells, (Place(path, 1), []))[1]
    yield from name_cells(path, header, cells, columns, draft)


def read_quoted_tsv(path: Path, draft: Draft, *, progress: bool) -> Iterator[Cells]:
    """The cells of each row, the header among them; quoted as in CSV, as pandas writes it."""
    return split_quoted(path, _lines(path, progress), "\t", draft)


def name_cells(
    path: Path, header: Sequence[str], rows: Iterable[Cells], columns: Sequence[str], draft: Draft
) -> Iterator[Row]:
    """Rows with the cells of `columns` by name; rejects those of another length than the header."""
    names = [name.strip() for name in header]
    for column in columns:
        if names.count(column) != 1:
            raise CorpusError(f"{path}:1: needs one column {column}, the header is {names}")
    places = {column: names.index(column) for column in columns}
    for place, cells in rows:
        if len(cells) == len(names):
            yield place, {column: cells[index] for column, index in places.items()}
        else:
            draft.reject(place, f"{len(cells)} fields, the header has {len(names)}")


def split_quoted(path: Path, lines: Iterable[str], delimiter: str, draft: Draft) -> Iterator[Cells]:
    """Cells by RFC 4180, with the line that each row begins in; rejects broken quoting."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        place = Place(path, reader.line_num + 1)
        try:
            yield place, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # A quote that is never closed takes lines with it.
            last = f", up to line {reader.line_num}" if reader.line_num > place.line else ""
            draft.reject(place, f"cannot be split into fields: {error}{last}")


def _split_plain(path: Path, lines: Iterable[str]) -> Iterator[Cells]:
    for number, line in enumerate(lines, 1):
        yield Place(path, number), line.removesuffix("\n").removesuffix("\r").split("\t")


def _parse_objects(
    path: Path, lines: Iterable[str], columns: Sequence[str], draft: Draft
) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        place = Place(path, number)
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            draft.reject(place, "not JSON")
            continue
        if not isinstance(entry, dict):
            draft.reject(place, "not a JSON object")
            continue
        cells = {column: _text(entry.get(column)) for column in columns}
        wrong = next((column for column, cell in cells.items() if cell is None), None)
        if wrong is None:
            yield place, {column: cell or "" for column, cell in cells.items()}
        else:
            draft.reject(place, f"{wrong} is neither a text nor a number")


def _text(value: object) -> str | None:
    """None for what is no cell; a lone surrogate, which JSON can name, is no text of any file."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value)
    return None if any("\ud800" <= character <= "\udfff" for character in text) else text


def _lines(path: Path, progress: bool) -> Iterator[str]:
    """With their ends; a row may go over several."""
    number = 0
    try:
        with open_counted(path, progress=progress) as (file, count):
            for number, line in enumerate(file, 1):
                count()
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}:{number}: not UTF-8: {error.reason}") from error
    except READ_ERRORS as error:
        raise CorpusError(f"{path}:{number + 1}: cannot be read: {error}") from error
