"""The file with the hashes of API keys: JSON, described in docs/security.md."""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from serve_app.access.caller import Caller, Quota, Scope
from serve_app.access.key import ID_FORM, Key

HASH_PREFIX = "sha256:"

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class KeysUnreadable(ValueError):
    """The file cannot be used; the message names it and says what is wrong, not what is in it."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class StoredQuota(_Entry):
    """What the key's owner may use in place of the settings' quota."""

    requests_per_s: Rate | None = None
    images_per_s: Rate | None = None

    def quota(self) -> Quota:
        """The caller's."""
        return Quota(self.requests_per_s, self.images_per_s)


class StoredKey(_Entry):
    """One key. Times are RFC 3339, `hash` is `sha256:` and the hexadecimal digest of its text."""

    id: Annotated[str, StringConstraints(pattern=f"^{ID_FORM}$")]
    name: str = ""
    hash: Annotated[str, StringConstraints(pattern="^sha256:[0-9a-f]{64}$")]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    created: AwareDatetime
    expires: AwareDatetime | None = None
    quota: StoredQuota | None = None

    def key(self) -> Key:
        """What the service compares with."""
        return Key(
            Caller(self.id, frozenset(self.scopes), self.quota and self.quota.quota()),
            bytes.fromhex(self.hash.removeprefix(HASH_PREFIX)),
            float("inf") if self.expires is None else self.expires.timestamp(),
        )


class KeyFile(_Entry):
    """All keys."""

    version: Literal[1] = 1
    keys: tuple[StoredKey, ...] = ()

    @model_validator(mode="after")
    def _unique(self) -> "KeyFile":
        ids = [key.id for key in self.keys]
        if len(set(ids)) < len(ids):
            raise ValueError("two keys have the same id")
        return self


def parse(content: bytes, path: Path) -> KeyFile:
    """The keys in `content`; `path` is named where they are none.

    Raises:
        KeysUnreadable
    """
    try:
        return KeyFile.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        reason = f"{place}: {first['msg']}" if place else first["msg"]
        raise KeysUnreadable(f"{path}: {reason}") from None


def read(path: Path) -> KeyFile:
    """The file's keys; none where there is no file.

    Raises:
        KeysUnreadable
    """
    try:
        return parse(path.read_bytes(), path)
    except FileNotFoundError:
        return KeyFile()
    except OSError as error:
        raise KeysUnreadable(f"{path}: {error.strerror}") from error


def change(path: Path, edit: Callable[[KeyFile], KeyFile]) -> KeyFile:
    """Replaces the file by what `edit` makes of it; two commands at once wait for each other.

    Readers see the old file or the new one, also after a crash; only its owner may read it.

    Raises:
        KeysUnreadable: what is there is no such file, and stays as it is.
        OSError: the file cannot be written.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.with_name(path.name + ".lock")):
        changed = edit(read(path))
        _replace(path, changed.model_dump_json(indent=2, exclude_none=True).encode() + b"\n")
    return changed


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replace(path: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mode 0600
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
