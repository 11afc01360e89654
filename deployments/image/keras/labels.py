"""The words for the classes of a keras model: ImageNet's, or numbers."""

import hashlib
import http.client
import json
import logging
import urllib.request
from pathlib import Path

from torchvision.models import ResNet152_Weights

from deployments.image.config import WeightsError

logger = logging.getLogger(__name__)

# As in keras.applications.imagenet_utils, which offers them only inside `decode_predictions`.
CLASS_INDEX_URL = (
    "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json"
)
CLASS_INDEX_MD5 = "c2c37ea517e94d9795004a39431a14cb"
_IMAGENET_CLASSES = 1000
_TIMEOUT_S = 10.0


def labels_of(classes: int, given: Path | None, downloads: Path) -> tuple[str, ...]:
    """A label for each class: from the file that is given, else from keras' for 1000 classes.

    Where keras' file cannot be fetched, torchvision's words for the same classes are taken and a
    warning says so. Another number of classes are called "class N".

    Raises:
        WeightsError: the file that is given is not one, or is for another number of classes
    """
    if given is not None:
        labels = read_class_index(given)
        if len(labels) != classes:
            raise WeightsError(f"{given.name} has {len(labels)} labels, the model {classes}")
        return labels
    if classes != _IMAGENET_CLASSES:
        return tuple(f"class {index}" for index in range(classes))
    path = downloads / "imagenet_class_index.json"
    try:
        fetch(CLASS_INDEX_URL, CLASS_INDEX_MD5, path)
    except (OSError, http.client.HTTPException) as error:
        logger.warning(
            "keras' %s could not be fetched (%s): torchvision's labels", path.name, error
        )
        return tuple(ResNet152_Weights.DEFAULT.meta["categories"])
    return read_class_index(path)


def read_class_index(path: Path) -> tuple[str, ...]:
    """The words of a JSON file of the form of keras': `{"0": ["n01440764", "tench"], ...}`.

    Raises:
        WeightsError: the file is missing or is of another form
    """
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        pairs = [index[str(number)] for number in range(len(index))]
        return tuple(str(word) for _, word in pairs)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{path.name} is not a class index as keras writes it: {error}"
        ) from error


def fetch(url: str, md5: str, path: Path) -> None:
    """Downloads a small file, unless it is there and intact.

    Raises:
        OSError, http.client.HTTPException: it cannot be had, or has another md5
    """
    if path.is_file() and _md5(path.read_bytes()) == md5:
        return
    with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:
        content: bytes = response.read()
    if _md5(content) != md5:
        raise OSError(f"its md5 is {_md5(content)}, not {md5}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
