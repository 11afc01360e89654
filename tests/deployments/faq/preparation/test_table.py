from pathlib import Path

import pytest

from deployments.faq.corpus import CorpusError
from deployments.faq.preparation.draft import Draft
from deployments.faq.preparation.table import Columns, Files, read_table


def write(folder: Path, name: str, content: str) -> list[Path]:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return [path]


def rows(draft: Draft, table: str) -> list[tuple[str, str]]:
    return [(record.answer_id, record.text) for record in draft.table(table)]


SHEET = "nr,ask,reply\na,How do I\n pay?,By card\nb,Where are you?,\na,Again?,No\n,Nameless?,x\n"
SHEET = SHEET.replace("How do I\n pay?", '"How do I\n pay?"')


def test_a_sheet_of_questions_and_answers(tmp_path: Path) -> None:
    files = Files(write(tmp_path, "faq.csv", SHEET))
    draft = read_table(files, Columns("ask", answer="reply", id="nr"), progress=False)
    assert rows(draft, "questions") == [("a", "How do I pay?"), ("b", "Where are you?")]
    assert rows(draft, "answers") == [("a", "By card")]
    assert [(place.line, reason) for place, reason in draft.rejected] == [
        (6, "no nr"),
        (5, "the Id of an earlier row"),
        (5, "the Id of an earlier row"),
    ]


def test_faqs_without_ids_are_numbered_over_all_files(tmp_path: Path) -> None:
    paths = write(tmp_path, "a.tsv", "question\nOne?\nTwo?\n")
    paths += write(tmp_path, "b.jsonl", '{"question": "Three?"}\n')
    draft = read_table(Files(paths), Columns(), progress=False)
    assert rows(draft, "questions") == [("1", "One?"), ("2", "Two?"), ("3", "Three?")]


def test_duplicates_in_files_of_their_own(tmp_path: Path) -> None:
    other = "text,of\nwhat does it cost,a\nlost,b\nno such,c\n,a\nnowhere,\n"
    files = Files(
        questions=write(tmp_path, "faq.csv", SHEET),
        duplicates=write(tmp_path, "train.csv", other),
        val=write(tmp_path, "val.csv", "text,of\nyour address,b\n"),
        test=write(tmp_path, "test.csv", "text,of\ncash?,a\n"),
        out_of_scope=write(tmp_path, "oos.csv", "ask\nWhat is love?\n"),
        out_of_scope_test=write(tmp_path, "oos_test.csv", "ask\nWho am I?\n"),
    )
    columns = Columns("ask", id="nr", duplicate="text", duplicate_of="of")
    draft = read_table(files, columns, progress=False)
    assert rows(draft, "dupes_train") == [("a", "what does it cost"), ("b", "lost")]
    assert rows(draft, "dupes_val") == [("b", "your address")]
    assert rows(draft, "dupes_test") == [("a", "cash?")]
    assert [record.text for record in draft.table("oos_train")] == ["What is love?"]
    assert [record.text for record in draft.table("oos_test")] == ["Who am I?"]
    assert {(p.line, why) for p, why in draft.rejected if p.file.name == "train.csv"} == {
        (4, "a duplicate of no kept question"),
        (5, "empty text"),
        (6, "no of"),
    }


def test_labelled_questions(tmp_path: Path) -> None:
    train = "text\tintent\nstolen card\tcard\nmy rate\trate\nsing\toos\nwhich rate\trate\n"
    files = Files(
        write(tmp_path, "train.tsv", train),
        test=write(tmp_path, "test.tsv", "text\tintent\nlost card\tcard\ndance\toos\nx\tnew\n"),
    )
    columns = Columns("text", intent="intent")
    draft = read_table(files, columns, out_of_scope_intent="oos", progress=False)
    assert rows(draft, "questions") == rows(draft, "answers") == []
    trained = [("card", "stolen card"), ("rate", "my rate"), ("rate", "which rate")]
    assert rows(draft, "dupes_train") == trained
    assert rows(draft, "dupes_test") == [("card", "lost card")]
    assert [record.text for record in draft.table("oos_train")] == ["sing"]
    assert [record.text for record in draft.table("oos_test")] == ["dance"]
    assert [reason for _, reason in draft.rejected] == ["a duplicate of no kept question"]


@pytest.mark.parametrize(
    ("columns", "duplicates", "intent"),
    [
        (Columns(intent="i"), True, None),
        (Columns(intent="i", answer="a"), False, None),
        (Columns(intent="i", id="a"), False, None),
        (Columns(), False, "oos"),
        (Columns(duplicate_of="of"), True, None),
        (Columns(id="id"), True, None),
        (Columns(id="id", duplicate="text"), False, None),
    ],
)
def test_refuses_columns_that_do_not_fit_the_files(
    columns: Columns, duplicates: bool, intent: str | None
) -> None:
    files = Files([Path("none.csv")], duplicates=[Path("none.csv")] if duplicates else [])
    with pytest.raises(CorpusError):
        read_table(files, columns, out_of_scope_intent=intent, progress=False)
