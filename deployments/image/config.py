"""What a stored image model is, beside its weights; readable without torch or keras.

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
FRAMEWORKS = ("torch", "keras")


class WeightsError(ValueError):
    """Weights, or the folder of a model, that cannot be used; the message says why."""


@dataclass(frozen=True)
class ImageModelConfig:
    """Architecture, name of the weights' preset, its preprocessing, a label for each class.

    framework: "torch" (torchvision's architectures) or "keras" (those of keras.applications).
    """

    architecture: str
    preset: str
    preprocessing: Preprocessing
    labels: tuple[str, ...]
    framework: str = "torch"

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
    # Models stored before there was a second framework do not name it.
    framework = str(fields.get("framework", "torch"))
    if framework not in FRAMEWORKS:
        raise ValueError(f"framework must be {' or '.join(FRAMEWORKS)}, not {framework!r}")
    return ImageModelConfig(
        architecture=str(fields["architecture"]),
        preset=str(fields["preset"]),
        preprocessing=Preprocessing(
            resize_size=int(preprocessing["resize_size"]),
            crop_size=int(preprocessing["crop_size"]),
            interpolation=preprocessing["interpolation"],
            mean=_three_numbers(preprocessing["mean"]),
            std=_three_numbers(preprocessing["std"]),
            stretch=bool(preprocessing.get("stretch", False)),
        ),
        labels=tuple(map(str, fields["labels"])),
        framework=framework,
    )


def _three_numbers(values: list[float]) -> tuple[float, float, float]:
    red, green, blue = map(float, values)
    return red, green, blue
