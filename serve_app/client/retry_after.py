"""How long a service says to wait: `Retry-After` (RFC 9110, section 10.2.3)."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

UNREADABLE_S = 1.0
"""For a value of neither form: the service wants a pause, and does not say which."""
LONGEST_S = 86_400.0
"""A day; whoever says more means "do not come back"."""


def retry_after_s(text: str, now: datetime) -> float:
    """Seconds from `now`, 0 to `LONGEST_S`; a date that has passed is 0."""
    text = text.strip()
    if text.isascii() and text.isdecimal():
        # Ten digits are more than a day, and `int` refuses thousands of them.
        return LONGEST_S if len(text.lstrip("0")) > 9 else min(float(text), LONGEST_S)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return UNREADABLE_S
    if moment.tzinfo is None:  # "-0000": a date in UTC, says RFC 5322
        moment = moment.replace(tzinfo=UTC)
    try:
        return min(max((moment - now).total_seconds(), 0.0), LONGEST_S)
    except OverflowError:
        return UNREADABLE_S
