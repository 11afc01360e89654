"""`Retry-After` in all its forms."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.client.retry_after import LONGEST_S, UNREADABLE_S, retry_after_s

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@given(st.integers(0, 10**30))
def test_seconds(seconds: int) -> None:
    assert retry_after_s(str(seconds), NOW) == min(seconds, LONGEST_S)


@given(st.integers(-(10**8), 10**8))
def test_dates(seconds: int) -> None:
    moment = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after_s(moment, NOW) == min(max(seconds, 0), LONGEST_S)


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    assert 0 <= retry_after_s(text, NOW) <= LONGEST_S


@pytest.mark.parametrize("text", ["", "soon", "-1", "1.5", "²", "Mon, 99 Foo 2026"])
def test_what_is_neither_is_a_short_pause(text: str) -> None:
    assert retry_after_s(text, NOW) == UNREADABLE_S


def test_an_unknown_zone_is_utc() -> None:
    assert retry_after_s("Sun, 01 Mar 2026 12:00:09 -0000", NOW) == 9


def test_thousands_of_digits() -> None:
    assert retry_after_s("9" * 10_000, NOW) == LONGEST_S
