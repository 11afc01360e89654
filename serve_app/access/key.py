"""One API key: its text, which only its owner has, and what the service knows of it.

The text is `rts_ID_SECRET`: the prefix lets scanners find leaked keys, the id finds the entry
without a search, the secret is 256 random bits. Only a SHA-256 of the text is stored. A slow hash
(scrypt, Argon2) makes guessing a password dear; nobody guesses 256 random bits, so a fast one is
right, and a request does not pay for it.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass

from serve_app.access.caller import Caller

PREFIX = b"rts_"
ID_FORM = "[0-9a-f]{12}"
TEXT_FORM = re.compile(rb"rts_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key; `expires` in seconds since 1970, infinite for one that does not."""

    caller: Caller
    digest: bytes
    expires: float


def new_text() -> tuple[str, str]:
    """The id and the text of a new key."""
    key_id = secrets.token_hex(6)
    return key_id, f"rts_{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}"


def digest_of(text: bytes) -> bytes:
    """The SHA-256 by which a key's text is known: 32 bytes."""
    return hashlib.sha256(text).digest()
