"""The protocol's gRPC methods around fakes, called as Ray Serve calls them."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from grpc import StatusCode

from serve_app.access.admission import Admission, Everyone, Headers, Unlimited
from serve_app.access.caller import Caller
from serve_app.access.caller import Scope as Needed
from serve_app.errors import ScoringError, error_classes
from serve_app.oip.grpc import CODES, GrpcFace, GrpcMethods
from serve_app.oip.wire import inference_pb2 as wire
from serve_app.oip.wiring import inference
from serve_app.readiness import State
from serve_app.settings import HttpSettings
from tests.serve_app.fakes import FAQ, Application
from tests.serve_app.oip.fakes import FakeContext
from tests.serve_app.oip.test_http import packed, picture


class Service(GrpcMethods):
    """The methods around the fakes of an application."""

    def __init__(
        self,
        folder: Path,
        admission: Admission | None = None,
        settings: HttpSettings | None = None,
    ) -> None:
        self.application = Application(folder)
        admission = admission or Admission(Everyone(), Unlimited())
        settings = settings or HttpSettings()
        fakes = self.application
        parts = inference(fakes.gateway, fakes.pictures, fakes.readiness, admission, settings)
        self.grpc_face = GrpcFace(parts, admission, settings, fakes.books)


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path)


def questions(*texts: str, raw: bool = False, **fields: Any) -> wire.ModelInferRequest:
    request = wire.ModelInferRequest(model_name="faq", **fields)
    tensor = request.inputs.add(name="question", datatype="BYTES", shape=[len(texts)])
    encoded = [text.encode() for text in texts]
    if raw:
        request.raw_input_contents.append(packed(*encoded))
    else:
        tensor.contents.bytes_contents.extend(encoded)
    return request


def pictures(*shape: int, datatype: str = "BYTES", raw: bytes = b"") -> wire.ModelInferRequest:
    request = wire.ModelInferRequest(model_name="image", raw_input_contents=[raw])
    request.inputs.add(name="image", datatype=datatype, shape=shape)
    return request


async def test_typed_contents(service: Service) -> None:
    request = questions("one", "two", id="mine")
    request.parameters["top_k"].int64_param = 2
    context = FakeContext()
    answer = await service.ModelInfer(request, context)
    assert context.code is None
    outputs = {output.name: output for output in answer.outputs}
    assert list(outputs) == ["id", "question", "probability"]
    assert outputs["question"].contents.bytes_contents == [b"one", b"one", b"two", b"two"]
    assert outputs["probability"].contents.fp32_contents == pytest.approx([0.9, 0.45] * 2)
    assert outputs["probability"].shape == [2, 2]
    assert not answer.raw_output_contents
    assert (answer.model_name, answer.model_version, answer.id) == ("faq", FAQ.version, "mine")
    assert answer.parameters["digest"].string_param == FAQ.digest


async def test_raw_contents(service: Service) -> None:
    request = questions("one", raw=True)
    request.outputs.add(name="probability")
    request.outputs.add(name="id")
    request.parameters["top_k"].uint64_param = 1
    answer = await service.ModelInfer(request, FakeContext())
    assert [output.name for output in answer.outputs] == ["probability", "id"]
    assert np.frombuffer(answer.raw_output_contents[0], "<f4") == pytest.approx([0.9])
    assert answer.raw_output_contents[1] == packed(b"Q0")


async def test_pictures(service: Service) -> None:
    encoded = packed(picture(3), picture(9))
    answer = await service.ModelInfer(pictures(2, raw=encoded), FakeContext())
    classes = np.frombuffer(answer.raw_output_contents[0], "<i8").reshape(2, 5)
    assert classes[:, 0].tolist() == [3, 9]
    pixels = np.full((1, 8, 8, 3), 77, np.uint8).tobytes()
    decoded = pictures(1, 8, 8, 3, datatype="UINT8", raw=pixels)
    answer = await service.ModelInfer(decoded, FakeContext())
    assert np.frombuffer(answer.raw_output_contents[0], "<i8")[0] == 77


async def test_decoded_pictures_as_typed_contents(service: Service) -> None:
    request = wire.ModelInferRequest(model_name="image")
    tensor = request.inputs.add(name="image", datatype="UINT8", shape=[1, 8, 8, 3])
    tensor.contents.uint_contents.extend([7] * 192)
    answer = await service.ModelInfer(request, FakeContext())
    assert answer.outputs[0].contents.int64_contents[0] == 7


def _mixed() -> wire.ModelInferRequest:
    request = questions("a")
    request.raw_input_contents.append(packed(b"a"))
    return request


def _valueless() -> wire.ModelInferRequest:
    request = questions("a")
    request.parameters["top_k"].Clear()
    return request


def _wrong_size() -> wire.ModelInferRequest:
    request = questions("a", raw=True)
    request.inputs[0].parameters["binary_data_size"].int64_param = 4
    return request


@pytest.mark.parametrize(
    ("request_", "code", "word"),
    [
        (questions("a", model_version="2"), StatusCode.NOT_FOUND, "version '2'"),
        (wire.ModelInferRequest(model_name="x"), StatusCode.NOT_FOUND, "no model 'x'"),
        (wire.ModelInferRequest(), StatusCode.NOT_FOUND, "faq, image"),
        (wire.ModelInferRequest(model_name="faq"), StatusCode.INVALID_ARGUMENT, "missing"),
        (questions("a", " "), StatusCode.INVALID_ARGUMENT, "[1]"),
        (_mixed(), StatusCode.INVALID_ARGUMENT, "not both"),
        (_valueless(), StatusCode.INVALID_ARGUMENT, "no value"),
        (_wrong_size(), StatusCode.INVALID_ARGUMENT, "binary_data_size"),
        (pictures(-1), StatusCode.INVALID_ARGUMENT, "negative"),
        (pictures(1, raw=packed(b"x")), StatusCode.INVALID_ARGUMENT, "image[0]"),
        (pictures(1, datatype="FP16"), StatusCode.INVALID_ARGUMENT, "UINT8"),
    ],
)
async def test_refusals(
    service: Service, request_: wire.ModelInferRequest, code: StatusCode, word: str
) -> None:
    context = FakeContext()
    answer = await service.ModelInfer(request_, context)
    assert context.code is code, context.details
    assert word in context.details
    assert answer == wire.ModelInferResponse()
    assert context.trailing[0] == ("request_id", "id-1")
    assert context.trailing[1][0] == "code"


async def test_messages_over_the_limit_of_their_model(tmp_path: Path) -> None:
    limits = HttpSettings(questions_limit_bytes=100, image_limit_bytes=10)
    service = Service(tmp_path, settings=limits)
    context = FakeContext()
    await service.ModelInfer(questions("a" * 100), context)
    assert context.code is StatusCode.INVALID_ARGUMENT
    assert "100 bytes" in context.details


async def test_metadata(service: Service) -> None:
    server = await service.ServerMetadata(wire.ServerMetadataRequest(), FakeContext())
    assert server.name == "realtime-scoring"
    request = wire.ModelMetadataRequest(name="image", version="1")
    model = await service.ModelMetadata(request, FakeContext())
    assert list(model.versions) == ["1"]
    assert model.inputs[0].shape == [-1]
    assert [output.name for output in model.outputs] == ["class_index", "label", "probability"]
    context = FakeContext()
    await service.ModelMetadata(wire.ModelMetadataRequest(name="other"), context)
    assert context.code is StatusCode.NOT_FOUND


async def test_health(service: Service) -> None:
    service.application.readiness.set_state("image", State.LOADING)
    assert (await service.ServerLive(wire.ServerLiveRequest(), FakeContext())).live
    assert not (await service.ServerReady(wire.ServerReadyRequest(), FakeContext())).ready
    for name, ready in (("faq", True), ("image", False)):
        answer = await service.ModelReady(wire.ModelReadyRequest(name=name), FakeContext())
        assert answer.ready is ready


class _ByKey:
    """Lets the key `faq` into the FAQ model, and remembers what it saw."""

    def __init__(self) -> None:
        self.headers: Headers = []

    async def identify(self, headers: Headers) -> Caller:
        self.headers = headers
        return Caller("key", frozenset({Needed.FAQ}))


async def test_metadata_of_the_call_is_what_admission_sees(tmp_path: Path) -> None:
    identification = _ByKey()
    service = Service(tmp_path, Admission(identification, Unlimited()))
    await service.ModelInfer(questions("a"), FakeContext(authorization="Bearer x", x_api_key="k"))
    expected = [(b"authorization", b"Bearer x"), (b"x-api-key", b"k")]
    assert list(identification.headers) == expected
    context = FakeContext()
    await service.ModelInfer(pictures(1), context)
    assert context.code is StatusCode.PERMISSION_DENIED
    assert ("code", "scope_missing") in context.trailing


async def test_the_deadline(service: Service) -> None:
    service.application.faq.gate = asyncio.Event()
    context = FakeContext(x_request_timeout_ms="20")
    await service.ModelInfer(questions("a"), context)
    assert context.code is StatusCode.DEADLINE_EXCEEDED


async def test_unexpected_errors_are_hidden(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    service.application.faq.error = RuntimeError("secret")
    context = FakeContext()
    await service.ModelInfer(questions("a"), context)
    assert context.code is StatusCode.INTERNAL
    assert "secret" not in context.details
    assert "secret" in caplog.text


async def test_the_log(service: Service) -> None:
    await service.ModelInfer(questions("a"), FakeContext())
    await service.ServerLive(wire.ServerLiveRequest(), FakeContext())
    (line,) = map(orjson.loads, service.application.log_file.read_bytes().splitlines())
    assert line["route"] == "/inference.GRPCInferenceService/ModelInfer"
    assert (line["status"], line["items"], line["request_id"]) == (200, 1, "id-1")
    assert line["request_bytes"] > 0
    assert line["response_bytes"] > 0


async def test_a_client_that_leaves(service: Service) -> None:
    service.application.faq.gate = asyncio.Event()
    call = asyncio.create_task(service.ModelInfer(questions("a"), FakeContext()))
    while not service.application.faq.calls:
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    (line,) = map(orjson.loads, service.application.log_file.read_bytes().splitlines())
    assert line["status"] == 499


def test_every_error_has_a_code() -> None:
    assert {error.status for error in error_classes(ScoringError)} <= set(CODES)
