import csv
import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.faq.corpus import CorpusError
from deployments.faq.preparation.draft import Draft, Place
from deployments.faq.preparation.reading import read_rows, split_quoted

Rows = list[tuple[int, dict[str, str]]]
Rejected = list[tuple[int, str]]


def read(path: Path, content: str | bytes, *columns: str) -> tuple[Rows, Rejected]:
    """The rows and the rejections, with their lines."""
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    draft = Draft()
    rows = [(place.line, row) for place, row in read_rows(path, columns, draft, progress=False)]
    return rows, [(place.line, reason) for place, reason in draft.rejected]


@pytest.mark.parametrize("name", ["faq.csv", "faq.csv.gz"])
def test_csv_may_have_quotes_and_line_ends_in_its_cells(tmp_path: Path, name: str) -> None:
    content = '\ufeffid,question,x\r\n1,"How, ""exactly""?",\r\n2,"two\nlines",\r\n3,Why?,\r\n'
    rows, rejected = read(tmp_path / name, content, "question", "id")
    assert rows == [
        (2, {"question": 'How, "exactly"?', "id": "1"}),
        (3, {"question": "two\nlines", "id": "2"}),
        (5, {"question": "Why?", "id": "3"}),
    ]
    assert rejected == []


def test_bad_rows_of_csv_are_named_by_line(tmp_path: Path) -> None:
    content = 'question\nfine\n"so" so\n\ntwo,cells\n"a\nb"\nlast\n"never\nends\n'
    rows, rejected = read(tmp_path / "a.csv", content, "question")
    assert [line for line, _ in rows] == [2, 6, 8]
    assert [line for line, _ in rejected] == [3, 4, 5, 9]
    assert rejected[1:3] == [
        (4, "0 fields, the header has 1"),
        (5, "2 fields, the header has 1"),
    ]
    assert rejected[3][1].endswith(", up to line 10")


def test_tsv_has_no_quoting(tmp_path: Path) -> None:
    content = 'question\tid\n"Why\t1\nit\'s "so"\t2\nno id\n'
    rows, rejected = read(tmp_path / "a.tsv", content, "question")
    assert rows == [(2, {"question": '"Why'}), (3, {"question": 'it\'s "so"'})]
    assert rejected == [(4, "1 fields, the header has 2")]


def test_jsonl_takes_texts_and_numbers(tmp_path: Path) -> None:
    lines = [
        '{"q": "a\\tb", "id": 7, "more": []}',
        '{"q": null, "id": 1.5}',
        '{"q": true}',
        '{"q": ["a"]}',
        '{"q": "\\ud800"}',
        '["a"]',
        "{'q': 1}",
        "",
        "[" * 100_000,
    ]
    rows, rejected = read(tmp_path / "a.jsonl", "\n".join(lines), "q", "id")
    assert rows == [(1, {"q": "a\tb", "id": "7"}), (2, {"q": "", "id": "1.5"})]
    wrong = "q is neither a text nor a number"
    assert rejected == [
        *((line, wrong) for line in (3, 4, 5)),
        (6, "not a JSON object"),
        *((line, "not JSON") for line in (7, 8, 9)),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "q\n", r"a\.csv:1: needs one column question, the header is \['q'\]"),
        ("a.csv", "question,question\n", r"a\.csv:1: needs one column question"),
        ("a.tsv", "", r"a\.tsv:1: needs one column question"),
        ("a.csv", b"question\nfine\n\xff\n", r"a\.csv:3: not UTF-8"),
        ("a.jsonl", "{}\n".encode("utf-16"), r"a\.jsonl:1: not UTF-8"),
        ("a.xlsx", "", r"a\.xlsx: neither \.csv nor \.tsv nor \.jsonl"),
    ],
)
def test_refuses_a_file_of_another_form(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    with pytest.raises(CorpusError, match=message):
        read(tmp_path / name, content, "question")


def test_refuses_a_damaged_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"question\n" + b"why?\n" * 1000)[:-12])
    with pytest.raises(CorpusError, match=r"a\.csv\.gz:\d+: cannot be read"):
        list(read_rows(path, ["question"], Draft(), progress=False))


@given(st.lists(st.lists(st.text(st.characters(exclude_characters="\x00\r")), min_size=1)))
def test_reads_what_csv_writes(rows: list[list[str]]) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerows(rows)
    lines = io.StringIO(file.getvalue(), newline="\n").readlines()
    draft = Draft()
    found = list(split_quoted(Path("a.csv"), lines, ",", draft))
    assert [cells for _, cells in found] == rows
    assert [place for place, _ in found[:1]] == [Place(Path("a.csv"), 1)][: len(rows)]
    assert draft.rejected == []
