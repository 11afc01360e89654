"""Objectives: how they are read, and when they are met."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.load.objectives import FORM, parse_objective
from serve_app.load.record import PERCENTILES, Figures

LATENCY = {name: float(number) for number, name in enumerate(PERCENTILES, 1)}
FIGURES = Figures(
    load=1.0,
    seconds=10.0,
    sent=1000,
    answered=900,
    refused=98,
    errors=2,
    rate_per_s=90.0,
    latency_ms=LATENCY,
)


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("p99<4.1ms", True),
        ("p99<4ms", False),
        ("p99<=4ms", True),
        ("p99.9 < 1s", True),
        ("max<0.005s", False),
        ("errors<0.2%", False),
        ("errors<=0.2%", True),
        ("refused<10%", True),
        ("rate>89/s", True),
        ("rate>=90.5/s", False),
        (" p50 > 0.5 ms ", True),
    ],
)
def test_bounds(text: str, met: bool) -> None:
    assert parse_objective(text).is_met(FIGURES) is met


NUMBERS = st.decimals(0, 10**9, places=3, allow_nan=False)


@given(
    st.sampled_from(sorted(PERCENTILES)),
    st.sampled_from(["<", "<=", ">", ">="]),
    NUMBERS,
    st.sampled_from(["ms", "s"]),
)
def test_every_latency_reads_as_it_is_written(
    name: str, than: str, number: object, unit: str
) -> None:
    found = parse_objective(f"{name}{than}{number}{unit}")
    assert (found.name, found.than) == (name, than)
    assert found.bound == pytest.approx(float(str(number)) * (1000 if unit == "s" else 1))


@given(st.text().filter(lambda text: FORM.fullmatch(text) is None))
def test_anything_else_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match=r"p99\.9"):
        parse_objective(text)


@pytest.mark.parametrize(
    "text", ["", "p98<1ms", "p99<1", "p99<1%", "rate>1ms", "rate>5%", "errors<1/s", "p99<-1ms"]
)
def test_what_has_no_meaning_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="p50"):
        parse_objective(text)


@pytest.mark.parametrize("text", ["p99<1s", "errors<1%", "refused<1%", "rate>=0/s"])
def test_a_run_without_a_request_meets_nothing(text: str) -> None:
    empty = Figures(None, 0.0, 0, 0, 0, 0, 0.0, None)
    assert not parse_objective(text).is_met(empty)
