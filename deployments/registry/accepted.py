"""The version that was taken last for a model and alias, on this node."""

import json
import logging
from dataclasses import asdict
from pathlib import Path

from deployments.registry.artifacts import replace_file
from deployments.registry.records import ModelVersion

logger = logging.getLogger(__name__)


class Accepted:
    """One JSON file for each model and alias in `folder`.

    A replica that starts while the alias names a version that must be refused goes on with the
    one that the others still serve.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str, alias: str) -> ModelVersion | None:
        """What was put last; None where there is nothing, or nothing readable."""
        file = self._file(name, alias)
        try:
            return ModelVersion(**json.loads(file.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            logger.warning("%s cannot be read: %s", file, error)
            return None

    def put(self, version: ModelVersion, alias: str) -> None:
        """Notes that this version was taken; a folder that cannot be written to is logged."""
        file = self._file(version.name, alias)
        try:
            replace_file(file, json.dumps(asdict(version)))
        except OSError as error:
            logger.warning("%s cannot be written: %s", file, error)

    def _file(self, name: str, alias: str) -> Path:
        return self._folder / f"{name}@{alias}.json"
