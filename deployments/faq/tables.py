"""The TSV tables of a corpus: found in its folder, hashed, and read strictly, line by line.

UTF-8, header row, tab separated, no quoting; `.tsv.gz` is the same, compressed.
"""

import gzip
import hashlib
import zlib
from collections.abc import Iterator, Sequence
from io import BufferedReader
from pathlib import Path

TABLES = (
    "questions",
    "answers",
    *(f"{kind}_{part}" for kind in ("dupes", "oos") for part in ("train", "val", "test")),
)
"""The names of the files, without `.tsv` or `.tsv.gz`."""

_BLOCK_BYTES = 1 << 20

READ_ERRORS = (OSError, EOFError, zlib.error)
"""What opening or reading a plain or compressed file may raise."""


class CorpusError(ValueError):
    """A corpus that cannot be used; the message names the file and the line, if there is one."""


def corpus_digest(folder: Path) -> str:
    """`sha256:` and the hash of the files' uncompressed content, without parsing them.

    A folder with another name, or with gzipped files, has the same digest.
    """
    total = hashlib.sha256()
    for table, path in sorted(find_tables(folder).items()):
        content = hashlib.sha256()
        try:
            with open_table(path) as file:
                while block := file.read(_BLOCK_BYTES):
                    content.update(block)
        except READ_ERRORS as error:
            raise CorpusError(f"{path}: cannot be read: {error}") from error
        total.update(f"{table} {content.hexdigest()}\n".encode())
    return f"sha256:{total.hexdigest()}"


def find_tables(folder: Path) -> dict[str, Path]:
    """The files by the names of their tables; raises CorpusError where there is another one."""
    if not folder.is_dir():
        raise CorpusError(f"{folder}: no such folder")
    files: dict[str, Path] = {}
    for path in sorted([*folder.glob("*.tsv"), *folder.glob("*.tsv.gz")]):
        table = path.name.removesuffix(".gz").removesuffix(".tsv")
        if table not in TABLES:
            # A misspelled name would otherwise train a model without its duplicates.
            raise CorpusError(f"{path}: not a table of a corpus, which are {', '.join(TABLES)}")
        if table in files:
            raise CorpusError(f"{path}: the same table as {files[table].name}")
        files[table] = path
    if "questions" not in files:
        raise CorpusError(f"{folder / 'questions.tsv'}: no such file")
    return files


def open_table(path: Path) -> gzip.GzipFile | BufferedReader:
    """The uncompressed bytes."""
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def columns_of(path: Path) -> list[str]:
    """The header; raises CorpusError where the file cannot be read."""
    return next(_lines(path), (1, ""))[1].split("\t")


def read_table(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Line numbers, from 2, with the stripped cells of `columns`, which are never empty.

    Raises CorpusError, with file and line, where the file is not UTF-8, the header has one of
    `columns` not exactly once, a row is of another length, or a cell of `columns` is empty.
    """
    lines = _lines(path)
    header = next(lines, (1, ""))[1].split("\t")
    for column in columns:
        if header.count(column) != 1:
            raise CorpusError(f"{path}:1: needs one column {column}, the header is {header}")
    places = [header.index(column) for column in columns]
    for number, line in lines:
        cells = line.split("\t")
        if len(cells) != len(header):
            message = f"{len(cells)} fields, the header has {len(header)}"
            raise CorpusError(f"{path}:{number}: {message}")
        values = [cells[place].strip() for place in places]
        if not all(values):
            raise CorpusError(f"{path}:{number}: empty {columns[values.index('')]}")
        yield number, values


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Line numbers from 1 with their text; split at line feeds alone, as a text may hold others."""
    number = 0
    try:
        with open_table(path) as file:
            for number, raw in enumerate(file, 1):
                # The signature that some spreadsheets put in front is no part of the header.
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
                yield number, text.removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}:{number}: not UTF-8: {error.reason}") from error
    except READ_ERRORS as error:
        raise CorpusError(f"{path}:{number + 1}: cannot be read: {error}") from error
