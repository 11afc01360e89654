"""Answers of a local registry, remembered so that a start need not import MLflow to ask again.

They hold for one exact content of the database file: any change, by whomever, voids them all.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from deployments.registry.artifacts import replace_file

ABSENT = "absent"
MOST_ANSWERS = 16


class Answers:
    """JSON values by question, kept in `file` with the state of `database` that gave them."""

    def __init__(self, database: Path, file: Path) -> None:
        self._database = database
        self._file = file

    def state(self) -> str:
        """Stands for the content of the database; ABSENT where there is none."""
        if not self._database.exists():
            return ABSENT
        digest = hashlib.sha256()
        for suffix in ("", "-wal"):
            part = self._database.with_name(self._database.name + suffix)
            if part.exists():
                with part.open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def questions(self) -> list[str]:
        """Every question that was remembered, its answer valid or not."""
        return list(self._read()["answers"])

    def get(self, question: str) -> Any:
        """The remembered answer; KeyError where there is none that still holds."""
        kept = self._read()
        if kept["state"] != self.state():
            raise KeyError(question)
        return kept["answers"][question]

    def put(self, answers: dict[str, Any], state: str) -> None:
        """Remembers answers that were asked for after `state` was taken; others of it stay."""
        kept = self._read()
        if kept["state"] == state:
            answers = {**kept["answers"], **answers}
        newest = dict(list(answers.items())[-MOST_ANSWERS:])
        replace_file(self._file, json.dumps({"state": state, "answers": newest}))

    def _read(self) -> dict[str, Any]:
        try:
            kept = json.loads(self._file.read_bytes())
            return {"state": str(kept["state"]), "answers": dict(kept["answers"])}
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return {"state": "", "answers": {}}
