"""What `scoring keys` does to the keys: each is a new list, and nothing is written here."""

from collections.abc import Collection
from datetime import datetime, timedelta

from serve_app.access.caller import Scope
from serve_app.access.key import digest_of, new_text
from serve_app.access.key_file import HASH_PREFIX, KeyFile, StoredKey, StoredQuota


class NoSuchKey(ValueError):
    """An id that no key has, or one whose time is over where it must not be."""


def new_key(
    *,
    name: str,
    scopes: Collection[Scope],
    now: datetime,
    lifetime: timedelta | None,
    quota: StoredQuota | None,
) -> tuple[StoredKey, str]:
    """A key and its text, which is stored nowhere. Without a lifetime it does not expire."""
    key_id, text = new_text()
    key = StoredKey(
        id=key_id,
        name=name,
        hash=HASH_PREFIX + digest_of(text.encode()).hex(),
        scopes=tuple(sorted(set(scopes))),
        created=now,
        expires=None if lifetime is None else now + lifetime,
        quota=quota,
    )
    return key, text


def add(file: KeyFile, key: StoredKey) -> KeyFile:
    """With one key more."""
    return KeyFile(keys=(*file.keys, key))


def successor(
    file: KeyFile, key_id: str, *, now: datetime, lifetime: timedelta | None
) -> tuple[StoredKey, str]:
    """A key that may do what the key `key_id` may, and its text.

    Without a lifetime it lives as long as the old one was made to.

    Raises:
        NoSuchKey: no key has this id, or its time is over.
    """
    old = _find(file, key_id)
    if old.expires is not None and old.expires <= now:
        raise NoSuchKey(f"the time of the key {key_id} is over; create a new one")
    if lifetime is None and old.expires is not None:
        lifetime = old.expires - old.created
    return new_key(name=old.name, scopes=old.scopes, now=now, lifetime=lifetime, quota=old.quota)


def replace(file: KeyFile, key_id: str, new: StoredKey, *, until: datetime) -> KeyFile:
    """With `new` beside the key `key_id`, which expires at `until` or before, as it would have."""
    old = _find(file, key_id)
    end = until if old.expires is None else min(old.expires, until)
    keys = [old.model_copy(update={"expires": end}) if key is old else key for key in file.keys]
    return KeyFile(keys=(*keys, new))


def remove(file: KeyFile, key_id: str) -> KeyFile:
    """Without the key `key_id`.

    Raises:
        NoSuchKey
    """
    gone = _find(file, key_id)
    return KeyFile(keys=tuple(key for key in file.keys if key is not gone))


def _find(file: KeyFile, key_id: str) -> StoredKey:
    for key in file.keys:
        if key.id == key_id:
            return key
    raise NoSuchKey(f"there is no key {key_id!r}")
