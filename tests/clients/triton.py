"""NVIDIA's `tritonclient`, over HTTP or gRPC: `triton.py http|grpc HOST:PORT SIZE [PICTURE ...]`.

Asks both models in each form that they take, and for what must be refused; prints JSON. SIZE is
the width of decoded pictures.
"""

import importlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

Json = dict[str, Any]

OUTPUTS = ("id", "question", "class_index", "label", "probability")
QUESTIONS = [b"what is a closure", b"how do I copy an array"]


class Asker:
    """One client, and its answers as JSON."""

    def __init__(self, protocol: str, address: str) -> None:
        self.is_http = protocol == "http"
        self.module: Any = importlib.import_module(f"tritonclient.{protocol}")
        self.client: Any = self.module.InferenceServerClient(address)

    def infer(
        self,
        model: str,
        name: str,
        values: NDArray[Any],
        outputs: Sequence[str] = (),
        binary: bool = True,
        **options: Any,
    ) -> Json:
        """The outputs; `binary` says how they and the input travel over HTTP."""
        form = {"binary_data": binary} if self.is_http else {}
        datatype = "UINT8" if values.dtype == np.uint8 else "BYTES"
        tensor = self.module.InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(values, **form)
        asked = [self.module.InferRequestedOutput(output, **form) for output in outputs]
        result = self.client.infer(model, [tensor], outputs=asked or None, **options)
        arrays = {output: result.as_numpy(output) for output in OUTPUTS}
        found = {name: described(array) for name, array in arrays.items() if array is not None}
        return {"head": self.head(result.get_response()), **found}

    def head(self, response: Any) -> Json:
        """What the answer says beside its outputs."""
        if self.is_http:
            return {key: response.get(key) for key in ("model_version", "id", "parameters")}
        parameters = {name: value.string_param for name, value in response.parameters.items()}
        version = response.model_version
        return {"model_version": version, "id": response.id, "parameters": parameters}

    def refusal(self, *arguments: Any, **options: Any) -> Json | None:
        """Status and message of what must be refused; None where it was not."""
        try:
            self.infer(*arguments, **options)
        except InferenceServerException as error:
            return {"status": error.status(), "message": error.message()}
        return None

    def metadata(self) -> Json:
        """What the server says of itself and of its models."""
        names = ("faq", "image")
        server, model = self.client.get_server_metadata(), self.client.get_model_metadata("faq")
        return {
            "live": self.client.is_server_live(),
            "ready": self.client.is_server_ready(),
            "models": {name: self.client.is_model_ready(name) for name in names},
            "server": server["name"] if self.is_http else server.name,
            "inputs": [
                tensor["name"] if self.is_http else tensor.name
                for tensor in (model["inputs"] if self.is_http else model.inputs)
            ],
        }


def described(array: NDArray[Any]) -> Json:
    """An output as JSON."""
    data = [item.decode() if isinstance(item, bytes) else item for item in array.ravel().tolist()]
    return {"shape": list(array.shape), "type": str(array.dtype), "data": data}


def texts(values: Sequence[bytes]) -> NDArray[Any]:
    """The array of BYTES."""
    return np.array(values, np.object_)


def report(asker: Asker, size: int, paths: Sequence[str]) -> Json:
    """Everything that is asked."""
    asked = texts(QUESTIONS)
    two = {"top_k": 2}
    pixels = np.full((2, size, size, 3), 128, np.uint8)
    small = np.zeros((1, 3, 5, 3), np.uint8)
    pictures = texts([Path(path).read_bytes() for path in paths])
    faq: Sequence[Any] = ("faq", "question", asked)
    ask: Callable[..., Json] = asker.infer
    return {
        **asker.metadata(),
        "questions": ask(*faq, request_id="mine", parameters=two),
        "some": ask(*faq, ["probability"], timeout=20_000_000),
        "json": ask(*faq, ["id", "question", "probability"], binary=False, parameters=two),
        "pictures": ask("image", "image", pictures, parameters={"top_k": 3}),
        "pixels": ask("image", "image", pixels, parameters={"top_k": 1}),
        "refused": {
            "top_k": asker.refusal(*faq, parameters={"top_k": 0}),
            "name": asker.refusal("faq", "text", asked),
            "model": asker.refusal("other", "question", asked),
            "version": asker.refusal(*faq, model_version="999"),
            "picture": asker.refusal("image", "image", texts([b"no picture"])),
            "size": asker.refusal("image", "image", small),
        },
    }


if __name__ == "__main__":
    protocol, address, size, *paths = sys.argv[1:]
    json.dump(report(Asker(protocol, address), int(size), paths), sys.stdout)
