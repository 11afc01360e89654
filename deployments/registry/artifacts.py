"""Artifact folders: their digest, and how one, or a file, is put in place whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

MODEL_FILE = "MLmodel"
CHUNK_BYTES = 1 << 20


class RegistryError(RuntimeError):
    """The registry cannot do what was asked; the message says why."""


class ModelNotFound(RegistryError):
    """No such model, alias or version."""


class DigestMismatch(RegistryError):
    """An artifact folder is not the one that was registered."""


def folder_digest(folder: Path) -> str:
    """`sha256:...` over the paths and contents of a folder's files, in order of their paths.

    MLflow's own MLmodel file at the top does not count. Raises RegistryError without any file.
    """
    files = {
        path.relative_to(folder).as_posix().encode(errors="surrogateescape"): path
        for path in folder.rglob("*")
        if path.is_file() and path != folder / MODEL_FILE
    }
    if not files:
        raise RegistryError(f"{folder} is not a folder with files")
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        digest.update(b"%d %d\n%b" % (len(name), path.stat().st_size, name))
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    return f"sha256:{digest.hexdigest()}"


def verify(folder: Path, digest: str) -> None:
    """Raises DigestMismatch unless the folder has this digest; one that is gone has none."""
    try:
        found = folder_digest(folder)
    except RegistryError as error:
        raise DigestMismatch(str(error)) from None
    if found != digest:
        raise DigestMismatch(f"{folder} was registered with the digest {digest}, but has {found}")


def replace_file(file: Path, text: str) -> None:
    """Writes a small file whole or not at all; readers see the old one or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    with os.fdopen(handle, "w", encoding="utf-8") as partial:
        partial.write(text)
    Path(name).replace(file)


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Keeps other processes from what stands at `path` by a lock file beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def install(final: Path, digest: str, fill: Callable[[Path], Path]) -> Path:
    """Puts the folder that `fill` makes in an empty one at `final`, whole or not at all.

    What is there and has the digest stays; what has another is replaced. Of several processes,
    one fills and the others wait for it. Raises DigestMismatch when the new folder differs.
    """
    with exclusive(final):
        if final.is_dir() and folder_digest(final) == digest:
            return final
        partial = final.with_name(f".{final.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)  # left by a process that was killed
        partial.mkdir()
        try:
            folder = fill(partial)
            verify(folder, digest)
            shutil.rmtree(final, ignore_errors=True)
            return folder.rename(final)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
