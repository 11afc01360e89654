"""Tokens that were verified lately, so that the next request with one need not be."""

from collections import OrderedDict
from hashlib import sha256

from serve_app.access.caller import Caller

MOST = 4096


class Remembered:
    """Callers by the SHA-256 of their token, until it expires; the least recently used go first."""

    def __init__(self, most: int = MOST):
        self._most = most
        self._entries: OrderedDict[bytes, tuple[Caller, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, token: bytes, now: float) -> Caller | None:
        """The token's caller, where it is known and not expired at `now` (seconds since 1970)."""
        digest = sha256(token).digest()
        entry = self._entries.get(digest)
        if entry is None:
            return None
        caller, expires = entry
        if now >= expires:
            del self._entries[digest]
            return None
        self._entries.move_to_end(digest)
        return caller

    def add(self, token: bytes, caller: Caller, expires: float) -> None:
        """Remembers a verified token."""
        self._entries[sha256(token).digest()] = (caller, expires)
        if len(self._entries) > self._most:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        """Forgets all of them."""
        self._entries.clear()
