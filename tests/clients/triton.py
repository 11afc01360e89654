"""NVIDIA's `tritonclient`, over HTTP or gRPC: `triton.py http|grpc HOST:PORT SIZE [PICTURE ...]`.

Asks both models in each form that they take, and for what must be refused; prints JSON. SIZE is
the width of decoded pictures.
"""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
from tritonclient.utils import InferenceServerException

protocol, url, size, *paths = sys.argv[1:]
client_module = importlib.import_module(f"tritonclient.{protocol}")
client = client_module.InferenceServerClient(url)


def infer(model, name, values, outputs=(), binary=None, **options):
    kind = {"S": "BYTES", "O": "BYTES", "u": "UINT8"}[
        values.dtype.kind.upper() if values.dtype.kind == "O" else values.dtype.kind
    ]
    tensor = client_module.InferInput(name, list(values.shape), kind)
    asked = None
    if protocol == "http" and binary is not None:
        tensor.set_data_from_numpy(values, binary_data=binary)
        asked = [client_module.InferRequestedOutput(item, binary_data=binary) for item in outputs]
    else:
        tensor.set_data_from_numpy(values)
        asked = [client_module.InferRequestedOutput(item) for item in outputs] or None
    result = client.infer(model, [tensor], outputs=asked, **options)
    head = result.get_response()
    head = (
        head
        if isinstance(head, dict)
        else {
            "model_version": head.model_version,
            "id": head.id,
            "parameters": {key: value.string_param for key, value in head.parameters.items()},
        }
    )
    found = {}
    for item in ("id", "question", "class_index", "label", "probability"):
        array = result.as_numpy(item)
        if array is not None:
            found[item] = {
                "shape": list(array.shape),
                "type": str(array.dtype),
                "data": listed(array),
            }
    return {"head": {key: head.get(key) for key in ("model_version", "id", "parameters")}, **found}


def listed(array):
    return [
        item.decode() if isinstance(item, bytes) else item.item() if hasattr(item, "item") else item
        for item in array.ravel()
    ]


def refusal(*arguments, **options):
    try:
        infer(*arguments, **options)
    except InferenceServerException as error:
        return {"status": error.status(), "message": error.message()}
    return None


def strings(*values):
    return np.array(
        [value.encode() if isinstance(value, str) else value for value in values], np.object_
    )


names = ("id", "question", "probability")
asked = strings("what is a closure", "how do I copy an array")
metadata = client.get_model_metadata("faq")
report = {
    "live": client.is_server_live(),
    "ready": client.is_server_ready(),
    "models": {name: client.is_model_ready(name) for name in ("faq", "image")},
    "unknown": client.is_model_ready("other") if protocol == "http" else None,
    "server": client.get_server_metadata()["name"]
    if protocol == "http"
    else client.get_server_metadata().name,
    "inputs": [item["name"] for item in metadata["inputs"]]
    if protocol == "http"
    else [item.name for item in metadata.inputs],
    "questions": infer("faq", "question", asked, request_id="mine", parameters={"top_k": 2}),
    "some": infer("faq", "question", asked, outputs=names[2:], binary=True, timeout=20_000_000),
    "json": infer("faq", "question", asked, outputs=names, binary=False, parameters={"top_k": 2}),
    "refused": {
        "top_k": refusal("faq", "question", asked, parameters={"top_k": 0}),
        "name": refusal("faq", "text", asked),
        "model": refusal("other", "question", asked),
        "version": refusal("faq", "question", asked, model_version="999"),
        "picture": refusal("image", "image", strings(b"no picture")),
        "size": refusal("image", "image", np.zeros((1, 3, 5, 3), np.uint8)),
    },
}
if paths:
    encoded = strings(*[Path(path).read_bytes() for path in paths])
    report["pictures"] = infer("image", "image", encoded, parameters={"top_k": 3})
    pixels = np.full((2, int(size), int(size), 3), 128, np.uint8)
    report["pixels"] = infer("image", "image", pixels, parameters={"top_k": 1})
json.dump(report, sys.stdout)
