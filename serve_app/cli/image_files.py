"""Pictures to classify as the command line names them, and what came of each."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from deployments.image.decoding import FORMATS


@dataclass(frozen=True)
class Outcome:
    """Of one file: predictions, best first, or a problem; both as the service writes them."""

    file: Path
    predictions: Sequence[dict[str, Any]] = ()
    problem: dict[str, Any] | None = None


def failed(file: Path, code: str, title: str, detail: str) -> Outcome:
    """A file that never got as far as a model."""
    return Outcome(file, problem={"title": title, "code": code, "detail": detail})


def unreadable(file: Path, error: OSError) -> Outcome:
    """A file or folder that the system does not let us read."""
    return failed(file, "file_unreadable", "The file cannot be read", error.strerror or str(error))


def find_pictures(paths: Sequence[Path]) -> tuple[list[Path], list[Outcome]]:
    """The files themselves, and those below folders with a supported extension, in order of name.

    The second list names folders that cannot be read or hold no picture. Links to folders are not
    followed.
    """
    files: list[Path] = []
    problems: list[Outcome] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        found = _below(path, problems)
        if not found:
            looked_for = ", ".join(sorted(extensions()))
            detail = f"no file below it ends in {looked_for}"
            problems.append(failed(path, "no_pictures", "The folder holds no picture", detail))
        files.extend(found)
    return files, problems


def extensions() -> set[str]:
    """Those of the formats that are decoded, lower case with their dot."""
    return {suffix for suffix, name in Image.EXTENSION.items() if name in FORMATS}


def _below(folder: Path, problems: list[Outcome]) -> list[Path]:
    def note(error: OSError) -> None:
        problems.append(unreadable(Path(error.filename), error))

    known = extensions()
    return sorted(
        Path(parent, name)
        for parent, _, names in os.walk(folder, onerror=note)
        for name in names
        if Path(name).suffix.lower() in known
    )
