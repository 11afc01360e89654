import csv
import gzip
import json
from pathlib import Path

import pytest

from deployments.faq.corpus import load_corpus
from serve_app.cli import main
from tests.deployments.faq.preparation.dumps import answered, asked, linked, write_dump

SHEET = "question,answer\nHow do I pay?,By card.\nWhere is it?,On its way.\n,Nothing.\n"


def prepare(out: Path, *arguments: str | Path) -> int:
    return main(["faq", "prepare", "--out", str(out), *map(str, arguments)])


def test_a_spreadsheet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sheet, out = tmp_path / "faq.csv", tmp_path / "shop"
    sheet.write_text(SHEET, encoding="utf-8")
    assert prepare(out, "--from", "table", sheet, "--answer-column", "answer") == 0
    assert [faq.answer for faq in load_corpus(out).faqs] == ["By card.", "On its way."]
    output = capsys.readouterr()
    assert output.out.startswith(f"{out}: 2 FAQs, 2 with an answer; duplicates: 0 to train on")
    assert f"{sheet}:4: empty text (1 row left out)" in output.err
    assert f"2 rows left out, each in {out / 'rejected.jsonl'}" in output.err
    entries = (out / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(entry)["line"] for entry in entries} == {4}


def test_files_of_labels(tmp_path: Path) -> None:
    for name, count in (("train", 10), ("test", 2)):
        rows = [f"{name} {n},{('card', 'rate', 'oos')[n % 3]}\n" for n in range(3 * count)]
        (tmp_path / f"{name}.csv").write_text("text,label\n" + "".join(rows), encoding="utf-8")
    columns = ["--question-column", "text", "--intent-column", "label"]
    train, test, out = tmp_path / "train.csv", tmp_path / "test.csv", tmp_path / "bank"
    options = [*columns, "--out-of-scope-intent", "oos"]
    assert prepare(out, "--from", "table", train, "--test", test, *options) == 0
    corpus = load_corpus(out)
    assert [faq.answer_id for faq in corpus.faqs] == ["card", "rate"]
    assert (len(corpus.train), len(corpus.test)) == (18, 4)
    assert (len(corpus.oos_train), len(corpus.oos_test)) == (10, 2)


def test_the_reference_tables(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.tsv.gz" for name in ("questions", "dupes", "answers")]
    tables: list[list[tuple[str, ...]]] = [
        [(str(n), f"A{n}", f"Question {n}", "") for n in range(2)],
        [(str(n), f"A{n % 2}", f"<p>Duplicate {n}</p>", "") for n in range(10, 20)],
        [(f"A{n}", f"Answer {n}") for n in range(2)],
    ]
    for path, rows in zip(paths, tables, strict=True):
        with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter="\t").writerows(rows)
    out = tmp_path / "out"
    options = ["--min-text", "5", "--min-duplicates", "5", "--test-size", "0.4", "--seed", "7"]
    assert prepare(out, "--from", "reference", *paths, *options) == 0
    corpus = load_corpus(out)
    assert [faq.answer for faq in corpus.faqs] == ["answer 0", "answer 1"]
    assert (len(corpus.train), len(corpus.test)) == (6, 4)
    assert prepare(tmp_path / "strict", "--from", "reference", *paths) == 1
    assert not (tmp_path / "strict").exists()


def test_a_data_dump(tmp_path: Path) -> None:
    posts = [asked(n, f"Question {n}") for n in range(1, 7)] + [answered(9, 1, 1, "So.")]
    folder = write_dump(tmp_path / "dump", posts, [linked(n, 1 + n % 2) for n in range(3, 7)])
    out = tmp_path / "out"
    assert prepare(out, "--from", "stackexchange", folder, "--tag", "js") == 0
    corpus = load_corpus(out)
    assert [(faq.id, faq.answer) for faq in corpus.faqs] == [("1", "So."), ("2", None)]
    assert len(corpus.train) + len(corpus.test) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "table", "--tag", "js", "a.csv"], "--tag is for --from stackexchange"),
        (["--from", "reference", "a", "b"], "needs 3 files"),
        (["--from", "stackexchange", "a"], "needs one folder, and a --tag"),
        (["--from", "table", "none.csv"], "none.csv"),
        (["--from", "table", "sheet.xlsx"], "sheet.xlsx"),
        (["--from", "table", "faq.csv", "--id-column", "nr"], "faq.csv:1: needs one column nr"),
    ],
)
def test_says_what_is_wrong(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("faq.csv", "sheet.xlsx"):
        Path(name).write_text(SHEET, encoding="utf-8")
    assert prepare(tmp_path / "out", *arguments) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_looks_at_the_target_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare(tmp_path.parent, "--from", "table", tmp_path / "none.csv") == 1
    assert "not an empty folder" in capsys.readouterr().err


@pytest.mark.parametrize("option", [("--min-text", "-1"), ("--test-size", "1"), ("--from", "csv")])
def test_refuses_values_out_of_range(tmp_path: Path, option: tuple[str, str]) -> None:
    with pytest.raises(SystemExit):
        prepare(tmp_path / "out", "a", "b", "c", "--from", "reference", *option)
