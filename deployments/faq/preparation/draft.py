"""A corpus in the making: rows with the places they come from, and the rows left out."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Place(NamedTuple):
    """A line, from 1, of an input file."""

    file: Path
    line: int


@dataclass(frozen=True, slots=True)
class Record:
    """A row of a table; that of an answer has its `answer_id` as `id` too."""

    place: Place
    id: str
    answer_id: str
    text: str


class Rejection(NamedTuple):
    """A row that is left out; rows left out for the same cause have the same `reason`."""

    place: Place
    reason: str


@dataclass
class Draft:
    """Tables by their name in the corpus' form, and what was left out of them."""

    tables: dict[str, list[Record]] = field(default_factory=dict)
    rejected: list[Rejection] = field(default_factory=list)

    def table(self, name: str) -> list[Record]:
        """The rows of a table, which can be added to."""
        return self.tables.setdefault(name, [])

    def reject(self, place: Place, reason: str) -> None:
        """Note that a row is left out."""
        self.rejected.append(Rejection(place, reason))

    def summary(self) -> Iterator[str]:
        """For each file and reason: the first row left out, and how many there are."""
        found: dict[tuple[Path, str], list[int]] = {}
        for place, reason in self.rejected:
            found.setdefault((place.file, reason), []).append(place.line)
        for (file, reason), lines in found.items():
            rows = "1 row" if len(lines) == 1 else f"{len(lines)} rows"
            yield f"{file}:{min(lines)}: {reason} ({rows} left out)"
