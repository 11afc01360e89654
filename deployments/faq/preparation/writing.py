"""Writes a draft as a corpus: the whole folder, or nothing."""

import json
import tempfile
from pathlib import Path

from deployments.faq.corpus import Corpus, CorpusError, load_corpus
from deployments.faq.preparation.draft import Draft
from deployments.faq.tables import TABLES

REJECTED = "rejected.jsonl"
"""One JSON object (file, line, reason) for each row left out; no table of the corpus."""


def write_corpus(draft: Draft, folder: Path) -> Corpus:
    """Write `draft` to `folder`, which must be empty or not exist, and read it back.

    Raises CorpusError where the draft cannot be trained on, OSError where it cannot be written;
    `folder` is then as it was.
    """
    faqs = {
        record.answer_id for name in ("questions", "dupes_train") for record in draft.table(name)
    }
    if len(faqs) < 2:
        reasons = "; ".join(draft.summary()) or "nothing was left out"
        raise CorpusError(f"ranking needs at least 2 FAQs, {len(faqs)} are left: {reasons}")
    check_target(folder)
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target, as a folder cannot be renamed to another file system.
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as place:
        made = Path(place) / folder.name
        made.mkdir()
        for name in TABLES:
            if draft.table(name) or name == "questions":
                _write_table(draft, name, made / f"{name}.tsv")
        if draft.rejected:
            _write_rejected(draft, made / REJECTED)
        corpus = load_corpus(made)
        made.rename(folder)
    return corpus


def check_target(folder: Path) -> None:
    """Raise CorpusError where `folder` is something other than a folder without files."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CorpusError(f"{folder}: exists and is not an empty folder")


def _write_table(draft: Draft, name: str, path: Path) -> None:
    answers = name == "answers"
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("Id\tText\n" if answers else "Id\tAnswerId\tText\n")
        for record in draft.table(name):
            cells = (
                (record.id, record.text) if answers else (record.id, record.answer_id, record.text)
            )
            file.write("\t".join(cells) + "\n")


def _write_rejected(draft: Draft, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for place, reason in draft.rejected:
            entry = {"file": str(place.file), "line": place.line, "reason": reason}
            file.write(json.dumps(entry) + "\n")
