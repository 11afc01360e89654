"""KServe's client: `kserve_both.py http|grpc URL SIZE [PICTURE]`; prints what it got as JSON."""

import asyncio
import json
import sys
from pathlib import Path

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig

protocol, url, size, *paths = sys.argv[1:]


def request(model, name, datatype, values, binary, **parameters):
    tensor = InferInput(name, list(values.shape), datatype)
    tensor.set_data_from_numpy(values, binary_data=binary)
    return InferRequest(model_name=model, infer_inputs=[tensor], parameters=parameters)


def readable(response):
    found = {}
    for output in response.outputs:
        array = output.as_numpy()
        data = [
            item.decode() if isinstance(item, bytes) else item for item in array.ravel().tolist()
        ]
        found[output.name] = {"shape": list(array.shape), "data": data}
    return found


async def report(ask, checks):
    questions = np.array([b"what is a closure", b"how do I copy an array"], np.object_)
    found = {"checks": [await check for check in checks]}
    for binary in (True, False):
        asked = request("faq", "question", "BYTES", questions, binary, top_k=2)
        found[f"questions {binary}"] = readable(await ask("faq", asked))
    pixels = np.full((1, int(size), int(size), 3), 128, np.uint8)
    found["pixels"] = readable(await ask("image", request("image", "image", "UINT8", pixels, True)))
    for path in paths:
        picture = np.array([Path(path).read_bytes()], np.object_)
        asked = request("image", "image", "BYTES", picture, True, top_k=3)
        found["picture"] = readable(await ask("image", asked))
    try:
        await ask("image", request("image", "text", "BYTES", questions, True))
    except Exception as error:  # noqa: BLE001 - which one differs; the message is what is looked at
        found["refused"] = str(error)
    return found


async def over_http():
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    checks = [
        client.is_server_live(url),
        client.is_server_ready(url),
        client.is_model_ready(url, "faq"),
        client.is_model_ready(url, "image"),
    ]
    return await report(lambda model, asked: client.infer(url, asked, model_name=model), checks)


async def over_grpc():
    client = InferenceGRPCClient(url)
    checks = [
        client.is_server_live(),
        client.is_server_ready(),
        client.is_model_ready("faq"),
        client.is_model_ready("image"),
    ]
    return await report(lambda _, asked: client.infer(asked), checks)


json.dump(asyncio.run(over_http() if protocol == "http" else over_grpc()), sys.stdout)
