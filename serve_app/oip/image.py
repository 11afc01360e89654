"""The image classifier behind the protocol."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from serve_app.access.admission import Admission
from serve_app.errors import BodyTooLarge, InvalidBase64, InvalidField, OutOfRange, ScoringError
from serve_app.http.bodies import MOST_PARTS
from serve_app.http.images import BASE64_ENVELOPE_BYTES, DEFAULT_TOP_K, note_classified
from serve_app.http.schemas import TOP_K_IMAGE
from serve_app.image_gateway import Classified, ImageGateway
from serve_app.oip.inference import Scored, Work
from serve_app.oip.models import IMAGE
from serve_app.oip.tensors import BYTES, Tensor
from serve_app.readiness import Readiness
from serve_app.settings import HttpSettings


class _Prediction(msgspec.Struct):
    class_index: int
    label: str
    probability: float


_predictions = msgspec.json.Decoder(list[_Prediction])


class ImageScorer:
    """`image` BYTES [n] or UINT8 [n,h,w,3] to `class_index`, `label`, `probability`, each [n,k].

    One picture that cannot be scored fails the request: a tensor has no place for its problem.
    """

    spec = IMAGE
    default_top_k = DEFAULT_TOP_K
    most_top_k = TOP_K_IMAGE

    def __init__(
        self,
        gateway: ImageGateway | None,
        readiness: Readiness,
        admission: Admission,
        settings: HttpSettings,
    ):
        self._gateway = gateway
        self._readiness = readiness
        self._admission = admission
        self._image_limit_bytes = settings.image_limit_bytes
        self.limit_bytes = settings.multipart_limit_bytes
        self.json_limit_bytes = settings.image_limit_bytes * 4 // 3 + BASE64_ENVELOPE_BYTES

    def require_room(self) -> None:
        """See `Scorer.require_room`."""
        self._ready_gateway().require_room()

    async def score(self, tensor: Tensor, top_k: int, work: Work) -> Scored:
        """See `Scorer.score`."""
        gateway = self._ready_gateway()
        pictures = self._pictures(tensor)
        record = work.record
        record.items = len(pictures)
        if record.caller is not None:
            self._admission.count_images(record.caller, len(pictures))
        results = await gateway.classify(pictures, top_k, work.deadline)
        classified = [_scored(result, index) for index, result in enumerate(results)]
        note_classified(record, classified)
        return Scored(classified[0].model, _outputs(classified))

    def _ready_gateway(self) -> ImageGateway:
        self._readiness.require("image")
        if self._gateway is None:
            raise RuntimeError("the image model is deployed but the router has no way to it")
        return self._gateway

    def _pictures(self, tensor: Tensor) -> Sequence[bytes] | Sequence[NDArray[np.uint8]]:
        if tensor.shape and not 1 <= tensor.shape[0] <= MOST_PARTS:
            raise OutOfRange(f"image must have 1 to {MOST_PARTS} pictures", field="image")
        if tensor.datatype == BYTES and len(tensor.shape) == 1:
            return [self._file(tensor, index) for index in range(tensor.shape[0])]
        if tensor.datatype == "UINT8" and len(tensor.shape) == 4 and tensor.shape[3] == 3:
            pixels: NDArray[Any] = np.asarray(tensor.elements).reshape(tensor.shape)
            return list(pixels)
        raise InvalidField("image must be BYTES [n] or UINT8 [n,h,w,3]", field="image")

    def _file(self, tensor: Tensor, index: int) -> bytes:
        data: bytes = tensor.elements[index]
        if tensor.is_text:
            try:
                data = base64.b64decode(data, validate=True)
            except binascii.Error:
                message = "a picture in JSON must be base64 (RFC 4648)"
                raise InvalidBase64(message, field=f"image[{index}]") from None
        if len(data) > self._image_limit_bytes:
            message = f"a picture may have {self._image_limit_bytes:,} bytes"
            raise BodyTooLarge(message, field=f"image[{index}]")
        return data


def _scored(result: Classified | ScoringError, index: int) -> Classified:
    if isinstance(result, ScoringError):
        result.field = f"image[{index}]"
        raise result
    return result


def _outputs(classified: Sequence[Classified]) -> list[Tensor]:
    rows = [_predictions.decode(item.predictions) for item in classified]
    shape = (len(rows), len(rows[0]))
    predictions = [prediction for row in rows for prediction in row]
    classes = np.array([prediction.class_index for prediction in predictions], np.int64)
    probabilities = np.array([prediction.probability for prediction in predictions], np.float32)
    return [
        Tensor("class_index", "INT64", shape, classes),
        Tensor("label", BYTES, shape, [prediction.label.encode() for prediction in predictions]),
        Tensor("probability", "FP32", shape, probabilities),
    ]
