"""KServe's client: `kserve_both.py http|grpc URL SIZE PICTURE`; prints what it got as JSON."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig
from numpy.typing import NDArray

Json = dict[str, Any]
Ask = Callable[[Any], Awaitable[Any]]

QUESTIONS = [b"what is a closure", b"how do I copy an array"]


def request(
    model: str, name: str, values: NDArray[Any], binary: bool = True, **parameters: int
) -> Any:
    """A request with one input."""
    datatype = "UINT8" if values.dtype == np.uint8 else "BYTES"
    tensor = InferInput(name, list(values.shape), datatype)
    tensor.set_data_from_numpy(values, binary_data=binary)
    return InferRequest(model_name=model, infer_inputs=[tensor], parameters=parameters)


def readable(response: Any) -> Json:
    """The outputs as JSON."""
    found = {}
    for output in response.outputs:
        array = output.as_numpy()
        data = [item.decode() if isinstance(item, bytes) else item for item in array.ravel()]
        plain = [item if isinstance(item, str) else item.item() for item in data]
        found[output.name] = {"shape": list(array.shape), "data": plain}
    return found


async def report(
    ask: Ask, checks: Sequence[Awaitable[bool]], pixels: NDArray[Any], picture: bytes
) -> Json:
    """Everything that is asked."""
    questions = np.array(QUESTIONS, np.object_)
    encoded = np.array([picture], np.object_)
    found: Json = {"checks": [await check for check in checks]}
    for binary in (True, False):
        answer = await ask(request("faq", "question", questions, binary, top_k=2))
        found[f"questions {binary}"] = readable(answer)
    found["pixels"] = readable(await ask(request("image", "image", pixels)))
    found["picture"] = readable(await ask(request("image", "image", encoded, top_k=3)))
    try:
        await ask(request("image", "text", questions))
    except Exception as error:  # noqa: BLE001 - which one differs; the message is looked at
        found["refused"] = str(error)
    return found


async def over_http(url: str, pixels: NDArray[Any], picture: bytes) -> Json:
    """The report of the client for HTTP."""
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    models = [client.is_model_ready(url, name) for name in ("faq", "image")]
    checks = [client.is_server_live(url), client.is_server_ready(url), *models]

    async def ask(asked: Any) -> Any:
        return await client.infer(url, asked, model_name=asked.model_name)

    return await report(ask, checks, pixels, picture)


async def over_grpc(url: str, pixels: NDArray[Any], picture: bytes) -> Json:
    """The report of the client for gRPC."""
    client = InferenceGRPCClient(url)
    models = [client.is_model_ready(name) for name in ("faq", "image")]
    checks = [client.is_server_live(), client.is_server_ready(), *models]
    return await report(client.infer, checks, pixels, picture)


if __name__ == "__main__":
    protocol, url, size, path = sys.argv[1:]
    pixels = np.full((1, int(size), int(size), 3), 128, np.uint8)
    over = over_http if protocol == "http" else over_grpc
    json.dump(asyncio.run(over(url, pixels, Path(path).read_bytes())), sys.stdout)
