"""`requirements.py FILE [EXTRA...]` prints what a pyproject.toml depends on, one a line.

Without extras the dependencies; with extras what these add. Standard library alone.
"""

import sys
import tomllib
from pathlib import Path


def requirements(file: Path, extras: list[str]) -> list[str]:
    """Raises KeyError for an extra that is not there."""
    project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    if not extras:
        return list(project["dependencies"])
    optional = project["optional-dependencies"]
    return [requirement for extra in extras for requirement in optional[extra]]


if __name__ == "__main__":
    print(*requirements(Path(sys.argv[1]), sys.argv[2:]), sep="\n")
