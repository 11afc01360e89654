"""The models and their tensors, as the protocol's metadata tells them."""

from dataclasses import asdict, dataclass
from typing import Any

from serve_app.errors import NotFound
from serve_app.oip.tensors import BYTES
from serve_app.readiness import ModelStatus, Readiness

ANY = -1
"""A dimension of any size."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output; `shape` has -1 where the size is free."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model by its name in the protocol, which is its key in `Readiness` too."""

    name: str
    platform: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


FAQ = ModelSpec(
    "faq",
    "realtime-scoring_faq",
    (TensorSpec("question", BYTES, (ANY,)),),
    (
        TensorSpec("id", BYTES, (ANY, ANY)),
        TensorSpec("question", BYTES, (ANY, ANY)),
        TensorSpec("probability", "FP32", (ANY, ANY)),
    ),
)
IMAGE = ModelSpec(
    "image",
    "realtime-scoring_image",
    # Decoded pictures (UINT8 [n,h,w,3]) are taken too; metadata has one entry for a name.
    (TensorSpec("image", BYTES, (ANY,)),),
    (
        TensorSpec("class_index", "INT64", (ANY, ANY)),
        TensorSpec("label", BYTES, (ANY, ANY)),
        TensorSpec("probability", "FP32", (ANY, ANY)),
    ),
)
MODELS = {model.name: model for model in (FAQ, IMAGE)}


class Catalogue:
    """What is known of the models at this moment."""

    def __init__(self, readiness: Readiness):
        self._readiness = readiness

    @property
    def is_ready(self) -> bool:
        """Whether every model has loaded or turned out to be absent, as `/readyz` says it."""
        return not self._readiness.is_loading

    def require(self, name: str, version: str | None = None) -> ModelStatus:
        """The status of a model and, where one is given, of the version that it serves.

        Raises:
            NotFound: there is no such model, or it serves another version.
        """
        if name not in MODELS:
            raise NotFound(f"there is no model {name[:64]!r}; there are {', '.join(MODELS)}")
        status = self._readiness.status(name)
        if version and (status.identity is None or status.identity.version != version):
            raise version_missing(name, version)
        return status

    def is_model_ready(self, name: str, version: str | None = None) -> bool:
        """Whether the model can answer; see `require`."""
        return self.require(name, version).can_answer

    def metadata(self, name: str, version: str | None = None) -> dict[str, Any]:
        """The model's metadata; see `require`."""
        status = self.require(name, version)
        versions = [] if status.identity is None else [status.identity.version]
        spec = asdict(MODELS[name])
        return {"name": spec.pop("name"), "versions": versions, **spec}


def version_missing(name: str, version: str) -> NotFound:
    """The error where a version is asked for that does not serve."""
    return NotFound(f"{name} does not serve version {version[:64]!r}")
