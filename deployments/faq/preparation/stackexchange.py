"""Reads the questions with one tag, and their duplicates, from a Stack Exchange data dump.

An FAQ is a question with the tag that others are duplicates of. Its duplicates may have other
tags; they are the posts whose links lead to it, over other duplicates too. Its answer is the
accepted one, or else the one with the highest score. The Id of the question is its AnswerId.

`Posts.xml` is read twice, so that memory holds the links, their ids, and the texts that are kept.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from deployments.faq.preparation.cleaning import clean_html, one_line
from deployments.faq.preparation.draft import Draft, Record
from deployments.faq.preparation.dump import (
    QUESTION,
    Link,
    Post,
    read_duplicate_links,
    read_posts,
)
from deployments.faq.preparation.selection import Rules, select
from deployments.faq.tables import CorpusError

MIN_TEXT = 1
MIN_DUPLICATES = 1


def read_stackexchange(
    folder: Path,
    tag: str,
    *,
    min_text: int = MIN_TEXT,
    min_duplicates: int = MIN_DUPLICATES,
    progress: bool = True,
) -> Draft:
    """The draft of a corpus from the `Posts.xml` and `PostLinks.xml` of `folder`.

    Questions with the tag that have no duplicates are FAQs where `min_duplicates` is 0. Raises
    CorpusError where a file is missing or not well-formed, or no question has the tag.
    """
    posts, post_links = _file(folder, "Posts.xml"), _file(folder, "PostLinks.xml")
    draft = Draft()
    links = _oldest(read_duplicate_links(post_links, draft, progress=progress))
    originals = _resolve(links, draft)
    accepted = _find_faqs(posts, tag, links, originals, min_duplicates, draft, progress)
    wanted = {post: original for post, original in originals.items() if original in accepted}
    _read_texts(posts, accepted, wanted, draft, progress)
    for post in wanted.keys() - {int(record.id) for record in draft.table("dupes_train")}:
        draft.reject(links[post].place, "the duplicate is not a question of the dump")
    select(draft, Rules(text=min_text, duplicates=min_duplicates))
    return draft


def _file(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise CorpusError(f"{folder / name}: no such file, nor one that ends in .gz")


def _oldest(links: Iterable[Link]) -> dict[int, Link]:
    """One link for each post: of several, that to the oldest original."""
    kept: dict[int, Link] = {}
    for link in links:
        if link.post not in kept or link.original < kept[link.post].original:
            kept[link.post] = link
    return kept


def _resolve(links: Mapping[int, Link], draft: Draft) -> dict[int, int]:
    """The last original of each duplicate, in one pass; rejects links that go round in circles."""
    found: dict[int, int | None] = {}
    for post in links:
        path: list[int] = []
        on_path: set[int] = set()
        while post in links and post not in found and post not in on_path:
            path.append(post)
            on_path.add(post)
            post = links[post].original
        last = None if post in on_path else found.get(post, post)
        found.update(dict.fromkeys(path, last))
    for post, original in found.items():
        if original is None:
            draft.reject(links[post].place, "links of duplicates that go round in a circle")
    return {post: original for post, original in found.items() if original is not None}


def _find_faqs(
    posts: Path,
    tag: str,
    links: Mapping[int, Link],
    originals: Mapping[int, int],
    min_duplicates: int,
    draft: Draft,
    progress: bool,
) -> dict[int, int | None]:
    """The ids of the FAQs, with those of their accepted answers."""
    targets = set(originals.values())
    missing = set(targets)
    tagged = False
    accepted: dict[int, int | None] = {}
    for post in read_posts(posts, draft, progress=progress):
        if post.type == QUESTION:
            missing.discard(post.id)
            tagged |= tag in post.tags
            asked_again = post.id in targets or (min_duplicates == 0 and post.id not in links)
            if tag in post.tags and asked_again:
                accepted[post.id] = post.accepted
    if not tagged:
        raise CorpusError(f"{posts}: no question has the tag {tag!r}")
    for duplicate, original in originals.items():
        if original in missing:
            draft.reject(links[duplicate].place, "the original is not a question of the dump")
    return accepted


def _read_texts(
    posts: Path,
    accepted: Mapping[int, int | None],
    wanted: Mapping[int, int],
    draft: Draft,
    progress: bool,
) -> None:
    answers: dict[int, Post] = {}
    # What cannot be read was rejected the first time.
    for post in read_posts(posts, Draft(), progress=progress):
        if post.parent is not None:
            if post.parent in accepted:
                best = answers.setdefault(post.parent, post)
                answers[post.parent] = _better(best, post, accepted[post.parent])
        elif post.id in accepted:
            draft.table("questions").append(_question(post, post.id))
        elif post.id in wanted:
            draft.table("dupes_train").append(_question(post, wanted[post.id]))
    draft.table("answers").extend(
        Record(post.place, str(faq), str(faq), clean_html(post.body))
        for faq, post in answers.items()
    )


def _better(one: Post, other: Post, accepted: int | None) -> Post:
    """Of two answers to one question; of equals the older one."""
    return max(one, other, key=lambda post: (post.id == accepted, post.score, -post.id))


def _question(post: Post, faq: int) -> Record:
    # The title is plain text, in which a tag is what the question is about.
    text = f"{one_line(post.title)} {clean_html(post.body)}".strip()
    return Record(post.place, str(post.id), str(faq), text)
