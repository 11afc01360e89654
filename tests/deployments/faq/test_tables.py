from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.faq.tables import CorpusError, columns_of, read_table
from tests.deployments.faq.corpora import write_corpus

cells = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r"), min_size=1).map(
    str.strip
)


@pytest.mark.parametrize("name", ["oos_train.tsv", "oos_train.tsv.gz"])
@given(rows=st.lists(st.tuples(cells.filter(bool), cells.filter(bool))))
def test_reads_any_text(
    tmp_path_factory: pytest.TempPathFactory, name: str, rows: list[tuple[str, str]]
) -> None:
    content = "Text\tNote\tId\n" + "".join(f"{text}\t\t{id_}\n" for id_, text in rows)
    path = write_corpus(tmp_path_factory.mktemp("corpus"), {name: content}) / name
    assert columns_of(path) == ["Text", "Note", "Id"]
    found = list(read_table(path, ("Id", "Text")))
    assert found == [(line, list(row)) for line, row in enumerate(rows, 2)]


def test_refuses_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"none\.tsv:1: cannot be read"):
        columns_of(tmp_path / "none.tsv")
