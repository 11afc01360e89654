from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from deployments.faq.preparation.draft import Draft, Place, Record
from deployments.faq.preparation.selection import Rules, select

TABLES = ("questions", "answers", "dupes_train", "dupes_val", "dupes_test", "oos_train")

rows = st.tuples(
    st.sampled_from(TABLES),
    st.sampled_from("pqrst"),
    st.sampled_from("abc"),
    st.text("x", max_size=3),
)


@given(
    st.lists(rows, max_size=40),
    st.builds(Rules, st.integers(1, 2), st.integers(0, 2), st.booleans()),
)
def test_every_row_is_kept_or_rejected_once(
    rows: list[tuple[str, str, str, str]], rules: Rules
) -> None:
    draft = Draft()
    for line, (table, id_, answer_id, text) in enumerate(rows, 1):
        id_ = answer_id if table == "answers" else id_
        draft.table(table).append(Record(Place(Path("a"), line), id_, answer_id, text))
    select(draft, rules)
    kept = [record.place.line for records in draft.tables.values() for record in records]
    rejected = [place.line for place, _ in draft.rejected]
    assert sorted(kept + rejected) == list(range(1, len(rows) + 1))
    faqs = {
        record.answer_id for name in ("questions", "dupes_train") for record in draft.table(name)
    }
    for name in ("answers", "dupes_val", "dupes_test"):
        assert {record.answer_id for record in draft.table(name)} <= faqs
    for records in draft.tables.values():
        assert len({record.id for record in records}) == len(records)
