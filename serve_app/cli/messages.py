"""What commands say on standard error."""

import sys
from importlib.util import find_spec

FAILED = 1


def say(text: str) -> None:
    """A line about what goes on."""
    print(text, file=sys.stderr, flush=True)


def lacks_plots() -> bool:
    """Whether nothing can be drawn, said before the work whose result would be lost."""
    if find_spec("matplotlib") is not None:
        return False
    fail("the package matplotlib is missing: pip install 'realtime-scoring[plots]'")
    return True


def fail(reason: Exception | str) -> int:
    """Why the command cannot go on; returns its exit status."""
    say(f"scoring: {reason}")
    return FAILED
