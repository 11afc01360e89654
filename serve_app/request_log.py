"""The request log: one JSON object a line, written at once, rotated by size.

Ray Serve's own log holds records in memory and loses them with the process. Here a line is one
`write` to a file opened for appending: it is in the kernel's hands before the answer leaves, and
several processes of one node share the file, because such writes do not interleave.
"""

import fcntl
import os
from pathlib import Path
from typing import Any

import orjson

CHECK_EVERY = 256
"""Lines between two looks at the file's size and at whether another process rotated it."""


class RequestLog:
    """Appends records to `path`, keeping `files` rotated ones of about `max_bytes`.

    `mode` is what a new file permits, less what the process's mask takes away.
    """

    def __init__(self, path: Path, *, max_bytes: int, files: int, mode: int = 0o640):
        self._path = path
        self._max_bytes = max_bytes
        self._files = files
        self._mode = mode
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = self._open()
        self._lines = 0

    def write(self, record: dict[str, Any]) -> None:
        """Appends one record; what it holds is the caller's allow-list."""
        os.write(self._descriptor, orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
        self._lines += 1
        if self._lines % CHECK_EVERY == 0:
            self._follow()

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        return os.open(self._path, flags, self._mode)

    def _follow(self) -> None:
        if os.fstat(self._descriptor).st_size >= self._max_bytes:
            self._rotate()
        if not self._is_current():
            os.close(self._descriptor)
            self._descriptor = self._open()

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def _rotate(self) -> None:
        # The lock is on the full file itself: whoever comes second finds it already renamed.
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        try:
            if not self._is_current():
                return
            for number in range(self._files - 1, 0, -1):
                older = self._numbered(number)
                if older.exists():
                    older.replace(self._numbered(number + 1))
            self._path.replace(self._numbered(1))
        finally:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")
