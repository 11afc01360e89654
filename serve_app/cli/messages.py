"""What commands say on standard error."""

import sys

FAILED = 1


def say(text: str) -> None:
    """A line about what goes on."""
    print(text, file=sys.stderr, flush=True)


def fail(reason: Exception | str) -> int:
    """Why the command cannot go on; returns its exit status."""
    say(f"scoring: {reason}")
    return FAILED
