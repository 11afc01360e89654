"""Shows a growing log file on the terminal, across rotations."""

import os
from pathlib import Path
from typing import TextIO

from serve_app.cli.stop import StopSignal

PERIOD_S = 0.2
PIECE = 1 << 16
"""Characters read at once: a log that is there already may be large."""


def follow(path: Path, stop: StopSignal, *, start: int | None = None) -> None:
    """Prints what is appended to `path` until `stop` is set; begins at its end, or at `start`."""
    file: TextIO | None = None
    while not stop.is_set():
        if file is None and path.exists():
            file = path.open(encoding="utf-8")
            file.seek(*((0, os.SEEK_END) if start is None else (start, os.SEEK_SET)))
            start = 0  # what a rotation begins is read from its start
        if file is not None:
            if _print_piece(file):
                continue
            if _was_rotated(file, path):
                file.close()
                file = None
                continue
        stop.wait(PERIOD_S)
    if file is not None:
        while _print_piece(file):
            pass
        file.close()


def _print_piece(file: TextIO) -> bool:
    """Whether there was something to print."""
    text = file.read(PIECE)
    print(text, end="", flush=True)
    return bool(text)


def _was_rotated(file: TextIO, path: Path) -> bool:
    try:
        return not os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return True
