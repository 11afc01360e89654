"""The rows of a Stack Exchange data dump's XML files, one after the other, never a tree of them.

The files hold one element for each row, with the columns as attributes. A document type
declaration, in which entities could be made to expand without end, is refused.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from xml.parsers import expat

from deployments.faq.preparation.draft import Draft, Place
from deployments.faq.preparation.reading import open_counted
from deployments.faq.tables import READ_ERRORS, CorpusError

QUESTION = 1
ANSWER = 2
_DUPLICATE = 3
_BLOCK_BYTES = 1 << 18
_TAG = re.compile(r"[^<>|]+")


class Post(NamedTuple):
    """A question or an answer; `parent` is the question of an answer, `body` is HTML."""

    place: Place
    id: int
    type: int
    parent: int | None
    accepted: int | None
    score: int
    title: str
    body: str
    tags: frozenset[str]


class Link(NamedTuple):
    """The post is a duplicate of the one with the id `original`."""

    place: Place
    post: int
    original: int


def read_posts(path: Path, draft: Draft, *, progress: bool) -> Iterator[Post]:
    """The questions and answers of `Posts.xml`; rows that cannot be read are rejected in `draft`.

    Raises CorpusError, with the line, where the file is not well-formed or not of this form.
    """
    for place, row in _rows(path, "posts", draft, progress):
        try:
            post = _post(place, row)
        except _Unreadable as error:
            draft.reject(place, str(error))
        else:
            if post.type in (QUESTION, ANSWER):
                yield post


def read_duplicate_links(path: Path, draft: Draft, *, progress: bool) -> Iterator[Link]:
    """The links of `PostLinks.xml` that say that a post is a duplicate; else as `read_posts`."""
    for place, row in _rows(path, "postlinks", draft, progress):
        try:
            link = Link(place, _number(row, "PostId"), _number(row, "RelatedPostId"))
            kind = _number(row, "LinkTypeId")
        except _Unreadable as error:
            draft.reject(place, str(error))
        else:
            if kind == _DUPLICATE:
                yield link


class _Unreadable(ValueError):
    """A row without a column it needs, or with something else in it."""


def _post(place: Place, row: Mapping[str, str]) -> Post:
    kind = _number(row, "PostTypeId")
    if kind == QUESTION and not row.get("Title"):
        raise _Unreadable("a question without Title")
    return Post(
        place=place,
        id=_number(row, "Id"),
        type=kind,
        parent=_number(row, "ParentId") if kind == ANSWER else None,
        accepted=_number(row, "AcceptedAnswerId") if "AcceptedAnswerId" in row else None,
        score=_number(row, "Score") if "Score" in row else 0,
        title=row.get("Title", ""),
        body=row.get("Body", ""),
        # Written as <a><b> in older dumps, as |a|b| in newer ones.
        tags=frozenset(_TAG.findall(row.get("Tags", ""))),
    )


def _number(row: Mapping[str, str], column: str) -> int:
    if column not in row:
        raise _Unreadable(f"no {column}")
    try:
        return int(row[column])
    except ValueError as error:
        raise _Unreadable(f"{column} is not a number") from error


def _rows(
    path: Path, root: str, draft: Draft, progress: bool
) -> Iterator[tuple[Place, dict[str, str]]]:
    parser = expat.ParserCreate()
    rows: list[tuple[Place, dict[str, str]]] = []
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        place = Place(path, parser.CurrentLineNumber)
        if depth == 0 and name != root:
            raise CorpusError(f"{path}:{place.line}: expected <{root}>, found <{name}>")
        if depth == 1 and name == "row":
            rows.append((place, attributes))
        elif depth > 0:
            draft.reject(place, f"an element <{name}>, not a row")
        depth += 1

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*_declaration: object) -> None:
        place = f"{path}:{parser.CurrentLineNumber}"
        raise CorpusError(f"{place}: a document type declaration, which no data dump has")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = refuse
    try:
        with open_counted(path, progress=progress) as (file, count):
            while block := file.read(_BLOCK_BYTES):
                parser.Parse(block)
                yield from rows
                rows.clear()
                count()
            parser.Parse(b"", True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise CorpusError(f"{path}:{error.lineno}: not well-formed XML: {reason}") from error
    except READ_ERRORS as error:
        raise CorpusError(f"{path}: cannot be read: {error}") from error
