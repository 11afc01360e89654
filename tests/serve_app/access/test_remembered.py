"""Verified tokens are remembered, up to a number and until they expire."""

from serve_app.access.caller import LOCAL
from serve_app.access.remembered import Remembered


def test_until_it_expires() -> None:
    remembered = Remembered()
    remembered.add(b"token", LOCAL, 10.0)
    assert remembered.find(b"token", 9.9) is LOCAL
    assert remembered.find(b"other", 9.9) is None
    assert remembered.find(b"token", 10.0) is None
    assert len(remembered) == 0


def test_the_least_recently_used_goes_first() -> None:
    remembered = Remembered(most=2)
    for token in (b"a", b"b"):
        remembered.add(token, LOCAL, 10.0)
    remembered.find(b"a", 0.0)
    remembered.add(b"c", LOCAL, 10.0)
    assert len(remembered) == 2
    assert remembered.find(b"a", 0.0) is LOCAL
    assert remembered.find(b"b", 0.0) is None
