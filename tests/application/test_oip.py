"""The Open Inference Protocol on the real application, by clients that others wrote."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import pytest

from serve_app.oip.wire import inference_pb2 as wire
from serve_app.oip.wire.inference_pb2_grpc import GRPCInferenceServiceStub
from tests.application.service import Service, scoring, serving
from tests.clients.environments import run

pytestmark = pytest.mark.timeout(900)

PORT, GRPC_PORT = 8124, 8125
CROP = "224"
LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
FALLBACK_PROXY = 9500
REPLICA = 40_000
"""Where the first replica listens for gRPC."""
QUESTIONS = ["what is a closure", "how do I copy an array"]


@pytest.fixture(scope="module")
def service(data_dir: Path, shared: Path) -> Iterator[Service]:
    """`scoring serve` with MobileNet V2, which takes pictures of 224 x 224."""
    command = scoring(
        "serve",
        f"data_dir={data_dir}",
        f"http.port={PORT}",
        f"grpc.port={GRPC_PORT}",
        "image.architecture=mobilenet_v2",
        f"image.weights={shared / 'weights' / 'mobilenet_v2.pth'}",
        "image.max_queue=64",
    )
    with serving(command, port=PORT, folder=data_dir) as service:
        yield service


@pytest.fixture(scope="module")
def photographs(shared: Path) -> list[str]:
    """Two pictures in which a network sees something."""
    return [str(path) for path in sorted((shared / "images" / "labelled").glob("*.png"))[:2]]


@pytest.fixture
def stub(service: Service) -> Iterator[GRPCInferenceServiceStub]:
    with grpc.insecure_channel(f"127.0.0.1:{GRPC_PORT}") as channel:
        yield GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]


def expected(service: Service, photographs: Sequence[str]) -> tuple[list[Any], list[Any]]:
    """What version 1 answers for the same input."""
    with service.client() as client:
        ranked = client.post("/v1/faq/rank", json={"questions": QUESTIONS, "top_k": 2}).json()
        classified = [
            client.post(
                "/v1/images/classify",
                params={"top_k": 3},
                content=Path(path).read_bytes(),
                headers={"content-type": "image/png"},
            ).json()
            for path in photographs
        ]
    matches = [match for result in ranked["results"] for match in result["matches"]]
    return matches, [item for answer in classified for item in answer["predictions"]]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_tritonclient(service: Service, photographs: list[str], protocol: str) -> None:
    port = {"http": PORT, "grpc": GRPC_PORT}[protocol]
    address = f"127.0.0.1:{port}"
    report = run("tritonclient", "triton.py", protocol, address, CROP, *photographs)
    matches, predictions = expected(service, photographs)
    assert report["live"]
    assert report["ready"]
    assert report["models"] == {"faq": True, "image": True}
    for asked in (report["questions"], report["json"]):
        assert asked["id"]["data"] == [match["id"] for match in matches]
        assert asked["question"]["data"] == [match["question"] for match in matches]
    assert report["questions"]["head"]["id"] == "mine"
    assert report["questions"]["head"]["parameters"]["digest"].startswith("sha256:")
    assert set(report["some"]) == {"head", "probability"}
    seen = report["pictures"]
    assert seen["class_index"]["data"] == [item["class_index"] for item in predictions]
    assert seen["label"]["data"] == [item["label"] for item in predictions]
    assert seen["probability"]["data"] == pytest.approx(
        [item["probability"] for item in predictions], abs=1e-3
    )
    assert report["pixels"]["class_index"]["shape"] == [2, 1]
    wrong, absent = {
        "http": ("422", "404"),
        "grpc": ("StatusCode.INVALID_ARGUMENT", "StatusCode.NOT_FOUND"),
    }[protocol]
    assert {name: refusal["status"] for name, refusal in report["refused"].items()} == {
        **dict.fromkeys(("top_k", "name", "picture", "size"), wrong),
        **dict.fromkeys(("model", "version"), absent),
    }


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_kserve(service: Service, photographs: list[str], protocol: str) -> None:
    url = {"http": service.url, "grpc": f"127.0.0.1:{GRPC_PORT}"}[protocol]
    report = run("kserve", "kserve_both.py", protocol, url, CROP, photographs[0])
    matches, predictions = expected(service, photographs[:1])
    assert report["checks"] == [True] * 4
    for binary in (True, False):
        ids = report[f"questions {binary}"]["id"]["data"]
        assert ids == [match["id"] for match in matches]
    indices = report["picture"]["class_index"]["data"]
    assert indices == [item["class_index"] for item in predictions]
    assert report["pixels"]["probability"]["shape"] == [1, 5]
    assert "image has no input 'text'" in report["refused"]


def question(text: str, count: int = 1) -> wire.ModelInferRequest:
    request = wire.ModelInferRequest(model_name="faq")
    tensor = request.inputs.add(name="question", datatype="BYTES", shape=[count])
    tensor.contents.bytes_contents.extend([text.encode()] * count)
    return request


def test_both_doors_write_one_log(service: Service, stub: GRPCInferenceServiceStub) -> None:
    stub.ModelInfer(question("what is hoisting"), metadata=[("request_id", "seen-in-the-log")])
    line = service.wait_for_line("seen-in-the-log", timeout_s=30)
    assert "ModelInfer" in line


def test_errors_carry_their_code(stub: GRPCInferenceServiceStub) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        stub.ModelInfer(question(" "))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    trailing: dict[str, Any] = {item.key: item.value for item in raised.value.trailing_metadata()}
    assert trailing["code"] == "question_empty"
    assert trailing["request_id"]


def test_another_application_is_not_found(stub: GRPCInferenceServiceStub) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        stub.ServerLive(wire.ServerLiveRequest(), metadata=[("application", "other")])
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_client_cannot_lift_the_time_limit(stub: GRPCInferenceServiceStub) -> None:
    """Ray Serve takes none from the metadata; ours can only be shortened."""
    lifting = [("x-request-timeout-seconds", "0"), ("request_timeout_s", "0")]
    with pytest.raises(grpc.RpcError) as raised:
        stub.ModelInfer(
            question("what is a closure", 256), metadata=[*lifting, ("x-request-timeout-ms", "1")]
        )
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_large_messages(stub: GRPCInferenceServiceStub, photographs: list[str]) -> None:
    """More than gRPC's own 4 MiB pass; more than 64 MiB are refused before they are read."""
    request = wire.ModelInferRequest(model_name="image")
    pixels = bytes(3 * 224 * 224)
    request.inputs.add(name="image", datatype="UINT8", shape=[40, 224, 224, 3])
    request.raw_input_contents.append(pixels * 40)
    answer = stub.ModelInfer(request, timeout=60)
    assert answer.outputs[0].shape == [40, 5]
    request.raw_input_contents[0] = bytes(65 * 1024 * 1024)
    with pytest.raises(grpc.RpcError) as raised:
        stub.ModelInfer(request, timeout=60)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_local_service_listens_on_loopback_alone(service: Service) -> None:
    """HAProxy, the replicas' own servers and the fallback proxy's."""
    # Other ports near the replica's are Ray's own, which it takes at random.
    ports = {GRPC_PORT, FALLBACK_PROXY, REPLICA}
    found = {
        (connection.laddr.port, connection.laddr.ip)
        for process in service.started()
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port in ports
    }
    assert {port for port, _ in found} == ports
    assert {address for _, address in found} <= LOOPBACK


def test_health_over_plain_http(service: Service) -> None:
    with httpx.Client(base_url=service.url, trust_env=False) as client:
        assert client.get("/v2/health/ready").json() == {"ready": True}
        assert client.get("/v2/models/image").json()["versions"]
