"""Duplicates whose right FAQ is known, stored beside a model for people to try.

They say nothing of the model: unlike known questions, it may answer them wrongly.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import msgspec

from deployments.contracts import KnownDuplicate
from deployments.faq.artifact import RankerFormatError
from deployments.faq.corpus import Corpus

FILE = "examples.json"
MOST = 24


@dataclass(frozen=True)
class Examples:
    """At most MOST duplicates, spread over the corpus."""

    duplicates: tuple[KnownDuplicate, ...]

    @classmethod
    def choose(cls, corpus: Corpus) -> "Examples":
        """Held-out duplicates; those of the training where there are no others."""
        found = corpus.test or corpus.train
        step = max(1, math.ceil(len(found) / MOST))
        return cls(
            tuple(
                KnownDuplicate(example.text, corpus.faqs[example.faq].answer_id)
                for example in found[::step]
            )
        )

    def save(self, folder: Path) -> None:
        """Write `examples.json` into a model's folder."""
        content = [duplicate._asdict() for duplicate in self.duplicates]
        (folder / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(content)) + b"\n")

    @classmethod
    def load(cls, folder: Path) -> "Examples":
        """Read what `save` wrote; none where there is no file. Raises RankerFormatError."""
        path = folder / FILE
        try:
            entries = msgspec.json.decode(path.read_bytes(), type=list[_Entry])
        except FileNotFoundError:
            return cls(())
        except (OSError, msgspec.DecodeError) as error:
            raise RankerFormatError(f"{path}: cannot be read: {error}") from error
        return cls(tuple(KnownDuplicate(entry.question, entry.answer_id) for entry in entries))


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    question: str
    answer_id: str
