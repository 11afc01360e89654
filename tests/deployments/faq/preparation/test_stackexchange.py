import gzip
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.faq.corpus import CorpusError
from deployments.faq.preparation.draft import Draft
from deployments.faq.preparation.stackexchange import read_stackexchange
from tests.deployments.faq.preparation.dumps import answered, asked, linked, row, write_dump

POSTS = [
    asked(1, "What is <div>?", AcceptedAnswerId=12),
    asked(2, "Sort numbers", tags="|css|js|"),
    asked(3, "Center it", tags="<css>"),
    asked(4, "Never asked again"),
    asked(5, "Which div", tags="<html>"),
    asked(6, "Still this div?"),
    asked(7, "Order of 1 and 10"),
    asked(8, "In the middle", tags="<css>"),
    answered(11, 1, 99, "<p>Popular</p>"),
    answered(12, 1, -1, "<p>A <b>box</b>.</p>"),
    answered(13, 2, 5, "<p>Later, but as good</p>"),
    answered(14, 2, 4, "<p>Worse</p>"),
    answered(10, 2, 5, "<p>Compare them.</p>"),
    answered(15, 4, 1, "<p>Not wanted</p>"),
]
LINKS = [linked(5, 1), linked(6, 5), linked(7, 2), linked(8, 3), linked(4, 2, kind=1)]


def read(folder: Path, tag: str = "js", **options: int) -> Draft:
    return read_stackexchange(folder, tag, progress=False, **options)


def rejected(draft: Draft) -> list[tuple[str, int, str]]:
    return [(place.file.name, place.line, reason) for place, reason in draft.rejected]


def test_takes_questions_with_the_tag_and_their_duplicates(tmp_path: Path) -> None:
    draft = read(write_dump(tmp_path, POSTS, LINKS))
    assert [(r.id, r.answer_id, r.text) for r in draft.table("questions")] == [
        ("1", "1", "What is <div>? I have tried all."),
        ("2", "2", "Sort numbers I have tried all."),
    ]
    assert [(r.id, r.answer_id) for r in draft.table("dupes_train")] == [
        ("5", "1"),
        ("6", "1"),
        ("7", "2"),
    ]
    assert draft.rejected == []


def test_the_answer_is_the_accepted_or_the_best_one(tmp_path: Path) -> None:
    draft = read(write_dump(tmp_path, POSTS, LINKS))
    assert {r.id: r.text for r in draft.table("answers")} == {"1": "A box.", "2": "Compare them."}


def test_reads_compressed_files_alike(tmp_path: Path) -> None:
    plain = write_dump(tmp_path / "plain", POSTS, LINKS)
    packed = tmp_path / "packed"
    packed.mkdir()
    for path in plain.iterdir():
        (packed / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    texts = [[r.text for r in read(folder).table("dupes_train")] for folder in (plain, packed)]
    assert texts[0] == texts[1]


def test_questions_without_duplicates_are_taken_where_asked_for(tmp_path: Path) -> None:
    draft = read(write_dump(tmp_path, POSTS, LINKS), min_duplicates=0)
    assert [record.id for record in draft.table("questions")] == ["1", "2", "4"]


def test_of_several_originals_the_oldest_is_taken(tmp_path: Path) -> None:
    draft = read(write_dump(tmp_path, POSTS, [*LINKS, linked(7, 1), linked(7, 4)]))
    assert [(r.id, r.answer_id) for r in draft.table("dupes_train")][2] == ("7", "1")


def test_bad_links_are_named_by_line(tmp_path: Path) -> None:
    links = [
        *LINKS,
        linked(101, 102),
        linked(102, 103),
        linked(103, 102),
        linked(104, 104),
        linked(105, 999),
        linked(998, 1),
        row(PostId=1, LinkTypeId=3),
        row(PostId="one", RelatedPostId=2, LinkTypeId=3),
        "<link/>\n",
    ]
    circle = "links of duplicates that go round in a circle"
    assert sorted(rejected(read(write_dump(tmp_path, POSTS, links)))) == [
        *(("PostLinks.xml", line, circle) for line in (8, 9, 10, 11)),
        ("PostLinks.xml", 12, "the original is not a question of the dump"),
        ("PostLinks.xml", 13, "the duplicate is not a question of the dump"),
        ("PostLinks.xml", 14, "no RelatedPostId"),
        ("PostLinks.xml", 15, "PostId is not a number"),
        ("PostLinks.xml", 16, "an element <link>, not a row"),
    ]


def test_bad_posts_are_named_once_by_line(tmp_path: Path) -> None:
    bad = [row(Id=50), row(Id=51, PostTypeId=1, Body="x"), row(Id=52, PostTypeId=2, Score="x")]
    assert rejected(read(write_dump(tmp_path, [*bad, *POSTS], LINKS))) == [
        ("Posts.xml", 3, "no PostTypeId"),
        ("Posts.xml", 4, "a question without Title"),
        ("Posts.xml", 5, "no ParentId"),
    ]


@given(st.dictionaries(st.integers(1, 30), st.integers(1, 30), max_size=30))
def test_every_chain_of_links_ends(
    tmp_path_factory: pytest.TempPathFactory, links: dict[int, int]
) -> None:
    posts = [asked(number, "Question") for number in range(1, 31)]
    folder = write_dump(
        tmp_path_factory.mktemp("dump"), posts, [linked(*link) for link in links.items()]
    )
    draft = read(folder)
    circles = {place.line for place, _ in draft.rejected}
    kept = {int(record.id): int(record.answer_id) for record in draft.table("dupes_train")}
    assert len(circles) + len(kept) == len(links)
    for post, original in kept.items():
        assert original not in links
        while post in links:
            post = links[post]
        assert post == original


@pytest.mark.parametrize(
    ("posts", "message"),
    [
        ("<posts>\n<row Id='1'\n</posts>", r"Posts\.xml:3: not well-formed XML"),
        ("<posts>\n<row />\n", r"Posts\.xml:3: not well-formed XML: no element found"),
        ("", r"Posts\.xml:1: not well-formed XML"),
        ("<users></users>", r"Posts\.xml:1: expected <posts>, found <users>"),
        (
            '<!DOCTYPE posts [<!ENTITY a "b"><!ENTITY c "&a;&a;">]>\n<posts/>',
            r"Posts\.xml:1: a document type declaration",
        ),
        ("<posts/>", "no question has the tag 'js'"),
    ],
)
def test_refuses_a_file_of_another_form(tmp_path: Path, posts: str, message: str) -> None:
    write_dump(tmp_path, POSTS, LINKS)
    (tmp_path / "Posts.xml").write_text(posts, encoding="utf-8")
    with pytest.raises(CorpusError, match=message):
        read(tmp_path)


def test_refuses_a_folder_without_the_files(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"Posts\.xml: no such file"):
        read(tmp_path)


def test_memory_does_not_grow_with_posts_that_are_not_taken(tmp_path: Path) -> None:
    def many() -> Iterator[str]:
        yield from POSTS
        for number in range(1000, 31_000):
            yield asked(number, "Something else " * 20, tags="<css>")

    folder = write_dump(tmp_path, many(), LINKS)
    size = (folder / "Posts.xml").stat().st_size
    tracemalloc.start()
    try:
        draft = read(folder)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(draft.table("questions")) == 2
    assert size > 10 << 20
    assert peak < 3 << 20
