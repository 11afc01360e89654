"""Lengths of time on the command line: `90d`, `24h`, `30m`."""

import argparse
import re
from datetime import timedelta

_FORM = re.compile(r"([0-9]{1,6})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LONGEST = timedelta(days=36_500)


def duration(text: str) -> timedelta:
    """A number and s, m, h, d or w; at most a hundred years. An argparse type."""
    form = _FORM.fullmatch(text)
    if form is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 30m, 24h or 90d")
    length = timedelta(seconds=int(form[1]) * _SECONDS[form[2]])
    if length > LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is over a hundred years")
    return length
