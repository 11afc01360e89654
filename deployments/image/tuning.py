"""What warm-ups measured, remembered on this machine, so that the next replica starts sooner.

One small JSON file for each combination of model, machine and settings. To measure anew, delete it.
"""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

Circumstances = Mapping[str, str | int | None]
"""Whatever the times of a forward pass depend on, by name."""


@dataclass(frozen=True)
class Tuning:
    """The chosen form, and the seconds of one forward pass by its size."""

    precision: str
    execution: str
    concurrency: int
    seconds: Mapping[int, float]


class Tunings:
    """The remembered warm-ups of one machine, as files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def recall(self, circumstances: Circumstances) -> Tuning | None:
        """What was measured under these circumstances, if anything was."""
        path = self._path(circumstances)
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            tuning = stored["tuning"]
            seconds = {int(size): float(time) for size, time in tuning["seconds"].items()}
            return Tuning(
                str(tuning["precision"]),
                str(tuning["execution"]),
                int(tuning["concurrency"]),
                seconds,
            )
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            logger.warning("%s is not readable (%s); measuring anew", path.name, error)
            return None

    def remember(self, circumstances: Circumstances, tuning: Tuning) -> None:
        """Writes the file whole, or not at all; a folder that cannot be written is only logged."""
        path = self._path(circumstances)
        partial = path.with_name(f"{path.name}.{os.getpid()}.part")
        text = json.dumps({"tuning": asdict(tuning), "circumstances": circumstances}, indent=1)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            partial.write_text(text + "\n", encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            logger.warning("the warm-up's measurements could not be kept: %s", error)

    def _path(self, circumstances: Circumstances) -> Path:
        text = json.dumps(circumstances, sort_keys=True)
        return self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
