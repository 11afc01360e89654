"""Small data dumps in the form of Stack Exchange's."""

from collections.abc import Iterable
from pathlib import Path
from xml.sax.saxutils import quoteattr


def row(**columns: str | int) -> str:
    """A line with the columns as attributes."""
    return f"  <row {' '.join(f'{k}={quoteattr(str(v))}' for k, v in columns.items())} />\n"


def asked(number: int, title: str, tags: str = "<js>", **columns: str | int) -> str:
    """The row of a question."""
    body = "<p>I have tried all.</p>"
    return row(Id=number, PostTypeId=1, Score=0, Title=title, Body=body, Tags=tags, **columns)


def answered(number: int, parent: int, score: int, body: str) -> str:
    """The row of an answer."""
    return row(Id=number, PostTypeId=2, ParentId=parent, Score=score, Body=body)


def linked(post: int, original: int, kind: int = 3) -> str:
    """The row of a link; that a post is a duplicate is of kind 3."""
    return row(Id=post * 1000, PostId=post, RelatedPostId=original, LinkTypeId=kind)


def write_dump(folder: Path, posts: Iterable[str], links: Iterable[str]) -> Path:
    """A folder with both files; the rows begin in line 3."""
    folder.mkdir(exist_ok=True)
    for name, root, rows in (("Posts", "posts", posts), ("PostLinks", "postlinks", links)):
        with (folder / f"{name}.xml").open("w", encoding="utf-8") as file:
            file.write(f'<?xml version="1.0" encoding="utf-8"?>\n<{root}>\n')
            file.writelines(rows)
            file.write(f"</{root}>\n")
    return folder
