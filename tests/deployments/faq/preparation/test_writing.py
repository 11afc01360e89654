import json
from pathlib import Path

import pytest

from deployments.faq.corpus import CorpusError, Example, Faq, load_corpus
from deployments.faq.preparation.draft import Draft, Place, Record
from deployments.faq.preparation.writing import write_corpus

SOURCE = Path("faq.csv")


def make_draft() -> Draft:
    draft = Draft()
    for line, (table, id_, answer_id, text) in enumerate(
        [
            ("questions", "Q1", "A1", "How do I pay?"),
            ("questions", "Q2", "A2", "Where is it?"),
            ("answers", "A1", "A1", "By card."),
            ("dupes_train", "D1", "A1", "payment"),
            ("oos_test", "O1", "-", "Who am I?"),
        ],
        2,
    ):
        draft.table(table).append(Record(Place(SOURCE, line), id_, answer_id, text))
    return draft


def test_writes_a_corpus_that_can_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "shop"
    corpus = write_corpus(make_draft(), folder)
    assert corpus == load_corpus(folder)
    assert corpus.faqs[0] == Faq("Q1", "A1", "How do I pay?", "By card.")
    assert corpus.train == (Example("payment", 0),)
    assert corpus.oos_test == ("Who am I?",)
    names = ["answers.tsv", "dupes_train.tsv", "oos_test.tsv", "questions.tsv"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert [path.name for path in folder.parent.iterdir()] == ["shop"]


def test_an_empty_folder_may_be_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    write_corpus(make_draft(), tmp_path / "link")
    assert len(load_corpus(tmp_path / "empty").faqs) == 2


def test_names_what_was_left_out(tmp_path: Path) -> None:
    draft = make_draft()
    for line in (9, 8):
        draft.reject(Place(SOURCE, line), "empty text")
    draft.reject(Place(SOURCE, 7), "no Id")
    write_corpus(draft, tmp_path / "shop")
    lines = (tmp_path / "shop" / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"file": "faq.csv", "line": 9, "reason": "empty text"},
        {"file": "faq.csv", "line": 8, "reason": "empty text"},
        {"file": "faq.csv", "line": 7, "reason": "no Id"},
    ]
    assert list(draft.summary()) == [
        "faq.csv:8: empty text (2 rows left out)",
        "faq.csv:7: no Id (1 row left out)",
    ]


def test_refuses_a_folder_in_use(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(CorpusError, match="not an empty folder"):
        write_corpus(make_draft(), tmp_path)
    with pytest.raises(CorpusError, match=r"notes\.txt: exists and is not an empty folder"):
        write_corpus(make_draft(), tmp_path / "notes.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_writes_nothing_that_cannot_be_trained_on(tmp_path: Path) -> None:
    draft = make_draft()
    del draft.table("questions")[1:]
    draft.reject(Place(SOURCE, 3), "empty text")
    with pytest.raises(CorpusError, match=r"1 are left: faq\.csv:3: empty text \(1 row left out\)"):
        write_corpus(draft, tmp_path / "shop")
    broken = make_draft()
    broken.table("dupes_test").append(Record(Place(SOURCE, 9), "E1", "A9", "unknown"))
    with pytest.raises(CorpusError, match=r"dupes_test\.tsv:2"):
        write_corpus(broken, tmp_path / "shop")
    assert list(tmp_path.iterdir()) == []
