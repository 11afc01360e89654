"""Small corpora for tests, written as files or made in memory."""

import gzip
from collections.abc import Mapping
from pathlib import Path

from deployments.faq.corpus import Corpus, Example, Faq

QUESTIONS = "Id\tAnswerId\tText\nQ1\tA1\tHow do I reset my password?\nQ2\tA2\tWhere is my parcel?\n"
ANSWERS = "Id\tText\nA1\tUse the link below the form.\n"
DUPLICATES = "Id\tAnswerId\tText\nD1\tA1\tforgot password\nD2\tA2\tmy parcel has not come\n"


def write_corpus(folder: Path, tables: Mapping[str, str | bytes]) -> Path:
    """Files by name; those that end in `.gz` are compressed."""
    folder.mkdir(exist_ok=True)
    for name, content in tables.items():
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder


def make_corpus(questions: list[str], duplicates: Mapping[str, int]) -> Corpus:
    """FAQs without answers; `duplicates` gives the index of the FAQ for each text."""
    faqs = [Faq(f"Q{n}", f"A{n}", text, None) for n, text in enumerate(questions)]
    train = [Example(text, faq) for text, faq in duplicates.items()]
    return Corpus(tuple(faqs), tuple(train), (), "made", "sha256:0")
