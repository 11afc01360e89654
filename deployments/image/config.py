"""What a stored image model is, beside its weights; readable without torch.

The folder of a model holds `weights.safetensors` and `config.json`; this is the second. The part
of the service that decodes pictures reads it too, to know which pixels the model wants.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deployments.image.decoding import Preprocessing

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "weights.safetensors"


class WeightsError(ValueError):
    """Weights, or the folder of a model, that cannot be used; the message says why."""


@dataclass(frozen=True)
class ImageModelConfig:
    """Architecture, name of the torchvision preset, its preprocessing, a label for each class."""

    architecture: str
    preset: str
    preprocessing: Preprocessing
    labels: tuple[str, ...]

    def save(self, folder: Path) -> None:
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "ImageModelConfig":
        """Reads what `save` wrote.

        Raises:
            WeightsError: the file is missing or is not one that `save` wrote
        """
        path = folder / CONFIG_FILE
        try:
            return _parse(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WeightsError(f"{path} is not a readable image model config: {error}") from error


def _parse(fields: dict[str, Any]) -> ImageModelConfig:
    preprocessing = fields["preprocessing"]
    return ImageModelConfig(
        architecture=str(fields["architecture"]),
        preset=str(fields["preset"]),
        preprocessing=Preprocessing(
            resize_size=int(preprocessing["resize_size"]),
            crop_size=int(preprocessing["crop_size"]),
            interpolation=preprocessing["interpolation"],
            mean=_three_numbers(preprocessing["mean"]),
            std=_three_numbers(preprocessing["std"]),
        ),
        labels=tuple(map(str, fields["labels"])),
    )


def _three_numbers(values: list[float]) -> tuple[float, float, float]:
    red, green, blue = map(float, values)
    return red, green, blue
