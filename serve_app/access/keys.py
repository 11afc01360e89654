"""The API keys that a replica knows: those of a file, read again when it has changed.

A Kubernetes secret mounted as a file is such a file: a look follows the symbolic links, so the
change of the link is a change of the file.
"""

import hmac
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from serve_app.access.caller import Caller
from serve_app.access.key import SECRET_BYTES, TEXT_FORM, Key, digest_of
from serve_app.access.key_file import KeysUnreadable, parse
from serve_app.errors import CredentialsExpired, CredentialsInvalid

logger = logging.getLogger(__name__)

LOOK_S = 1.0
"""Seconds between two looks at the file: how long a revoked key may still be accepted."""

Identity = tuple[int, ...]

_NOBODY = Key(Caller("nobody", frozenset()), os.urandom(SECRET_BYTES), 0.0)
"""Compared with where the id is unknown, so that an unknown id takes as long as a known one."""


class Keys:
    """Looks keys up. What was read last stays in use while a new content cannot be read.

    Raises KeysUnreadable when built on a file that is there and cannot be used.
    """

    def __init__(
        self,
        path: Path,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ):
        self._path = path
        self._monotonic = monotonic
        self._now = now
        self._keys: Mapping[bytes, Key] = {}
        self._identity: Identity | None = None
        self._complaint: str | None = None
        self._was_seen = False
        self._next_look = monotonic() + LOOK_S
        try:
            self._read()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise KeysUnreadable(f"{path}: {error.strerror}") from error

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def was_seen(self) -> bool:
        """Whether there has been a file, be it empty or gone by now."""
        self._look_when_due()
        return self._was_seen

    def find(self, text: bytes) -> Caller:
        """The owner of the key `text`.

        Raises:
            CredentialsInvalid: no such key, or no longer.
            CredentialsExpired: its time is over.
        """
        self._look_when_due()
        form = TEXT_FORM.fullmatch(text)
        if form is None:
            raise CredentialsInvalid("this does not have the form of a key")
        key = self._keys.get(form[1], _NOBODY)
        if not hmac.compare_digest(digest_of(text), key.digest):
            raise CredentialsInvalid("there is no such key, or it was revoked")
        if self._now() >= key.expires:
            raise CredentialsExpired("the key's time is over")
        return key.caller

    def _look_when_due(self) -> None:
        if self._monotonic() < self._next_look:
            return
        self._next_look = self._monotonic() + LOOK_S
        try:
            if _identity_of(self._path.stat()) != self._identity:
                self._read()
            self._complaint = None
        except FileNotFoundError:
            # Taking keys away is said by a file without them: a vanished file may be an accident.
            if self._was_seen:
                self._complain(f"{self._path} is gone")
        except (OSError, KeysUnreadable) as error:
            self._complain(str(error))

    def _read(self) -> None:
        with self._path.open("rb") as file:
            # Before the content, so that what is written meanwhile counts as a change.
            identity = _identity_of(os.fstat(file.fileno()))
            content = file.read()
        stored = parse(content, self._path).keys
        self._keys = {key.id.encode(): key.key() for key in stored}
        self._identity = identity
        self._was_seen = True

    def _complain(self, complaint: str) -> None:
        """Once for each reason, not once a second."""
        if complaint != self._complaint:
            logger.error("keys stay as they were: %s", complaint)
            self._complaint = complaint


def _identity_of(status: os.stat_result) -> Identity:
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )
