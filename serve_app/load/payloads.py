"""What a load test sends: the questions of a table, or pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from deployments.faq.corpus import JAVASCRIPT
from deployments.faq.tables import CorpusError, find_tables, read_table

Target = Literal["faq", "images"]

PATHS: dict[Target, str] = {"faq": "/v1/faq/rank", "images": "/v1/images/classify"}
EXAMPLE_PICTURE = Path(__file__).parents[2] / "examples" / "picture.png"
MOST_BYTES = 1 << 30
"""All payloads lie in memory."""


class NoPayload(Exception):
    """Nothing to send; the message says why."""


def questions(path: Path | None) -> list[bytes]:
    """A JSON body for each question of a table (column Text), or of a corpus' test questions."""
    path = path or JAVASCRIPT
    try:
        table = _test_questions(path) if path.is_dir() else path
        texts = [text for _, (text,) in read_table(table, ["Text"])]
    except CorpusError as error:
        raise NoPayload(str(error)) from error
    if not texts:
        raise NoPayload(f"{table}: no question")
    return [msgspec.json.encode({"question": text}) for text in texts]


def pictures(paths: Sequence[Path]) -> list[bytes]:
    """The pictures' bytes; the service is to decode them, so nothing is checked here."""
    try:
        total = sum(path.stat().st_size for path in paths)
        if total > MOST_BYTES:
            raise NoPayload(f"the pictures have {total:,} bytes; {MOST_BYTES:,} may lie in memory")
        found = [path.read_bytes() for path in paths]
    except OSError as error:
        raise NoPayload(f"{error.filename}: {error.strerror}") from error
    if not found:
        raise NoPayload("no picture")
    return found


def _test_questions(folder: Path) -> Path:
    tables = find_tables(folder)
    if "dupes_test" not in tables:
        raise NoPayload(f"{folder}: no dupes_test.tsv; name a table with a column Text")
    return tables["dupes_test"]
