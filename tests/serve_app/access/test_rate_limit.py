"""The fields of a refusal."""

import pytest

from serve_app.access.leases import Limit
from serve_app.access.rate_limit import policy


@pytest.mark.parametrize(
    ("rate", "burst_s", "text"),
    [
        (100, 1, '"requests";q=100;w=1'),
        (100, 0.01, '"requests";q=100;w=1'),
        (100, 10, '"requests";q=1000;w=10'),
        (0.25, 1, '"requests";q=1;w=4'),
        (2.5, 2, '"requests";q=5;w=2'),
        (0.1, 3, '"requests";q=1;w=10'),
    ],
)
def test_the_policy_is_in_whole_numbers(rate: float, burst_s: float, text: str) -> None:
    assert policy("requests", Limit.of(rate, burst_s)) == text


def test_pictures_name_their_unit() -> None:
    assert policy("images", Limit.of(10, 1)) == '"images";q=10;w=1;qu="images"'


def test_a_quota_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="not above 0"):
        Limit.of(0, 1)
