"""Leaves out of a draft what a corpus must not hold, and what the caller finds too thin."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from deployments.faq.preparation.draft import Draft, Record

DUPLICATES = ("dupes_train", "dupes_val", "dupes_test")


@dataclass(frozen=True)
class Rules:
    """The least a question must have: `text` characters, `duplicates`, an answer if `answered`."""

    text: int = 1
    duplicates: int = 0
    answered: bool = False


def select(draft: Draft, rules: Rules) -> None:
    """Keep what fits; without original questions, each AnswerId of a training duplicate is an FAQ.

    The first of several rows with one Id stays, and of several originals with one AnswerId. What
    is short or a repetition is out before the duplicates of an FAQ are counted.
    """
    for name in list(draft.tables):
        _keep(draft, name, "empty text", lambda record: record.text != "")
        _keep_first(draft, name, "the Id of an earlier row", lambda record: record.id)
    _keep_first(draft, "questions", "AnswerId of an earlier question", lambda row: row.answer_id)
    originals = {record.id for record in draft.table("questions")}
    for name in DUPLICATES:
        _keep(draft, name, "an original question too", lambda row: row.id not in originals)
    for name in ("questions", *DUPLICATES, "oos_train", "oos_val", "oos_test"):
        reason = f"text shorter than {rules.text} characters"
        _keep(draft, name, reason, lambda record: len(record.text) >= rules.text)
    _keep_faqs(draft, rules)


def _keep_faqs(draft: Draft, rules: Rules) -> None:
    known = {record.answer_id for record in draft.table("questions") or draft.table("dupes_train")}
    for name in DUPLICATES:
        _keep(draft, name, "a duplicate of no kept question", lambda row: row.answer_id in known)
    if rules.answered:
        answered = {record.answer_id for record in draft.table("answers")}
        for name in ("questions", *DUPLICATES):
            _keep(draft, name, "no answer", lambda row: row.answer_id in answered)
    counts = Counter(record.answer_id for record in draft.table("dupes_train"))
    reason = f"an FAQ with fewer than {rules.duplicates} duplicates"
    for name in ("questions", *DUPLICATES):
        _keep(draft, name, reason, lambda row: counts[row.answer_id] >= rules.duplicates)
    kept = {record.answer_id for record in draft.table("questions") or draft.table("dupes_train")}
    _keep(draft, "answers", "an answer to no kept question", lambda row: row.answer_id in kept)


def _keep(draft: Draft, name: str, reason: str, fits: Callable[[Record], bool]) -> None:
    kept = []
    for record in draft.table(name):
        if fits(record):
            kept.append(record)
        else:
            draft.reject(record.place, reason)
    draft.tables[name] = kept


def _keep_first(draft: Draft, name: str, reason: str, key: Callable[[Record], str]) -> None:
    seen: set[str] = set()

    def is_first(record: Record) -> bool:
        before = len(seen)
        seen.add(key(record))
        return len(seen) > before

    _keep(draft, name, reason, is_first)
