"""The generated modules are those of the `.proto` beside them."""

import subprocess
import sys
from pathlib import Path

import pytest

from serve_app import oip
from serve_app.oip.grpc import SERVICE, GrpcMethods
from serve_app.oip.wire import inference_pb2

pytest.importorskip("grpc_tools", reason="grpcio-tools generates the modules")

ROOT = Path(__file__).parents[3]
PROTO = "serve_app/oip/wire/inference.proto"
GENERATED = ("inference_pb2.py", "inference_pb2.pyi", "inference_pb2_grpc.py")


def test_generated_modules_match(tmp_path: Path) -> None:
    made = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT}", *made, PROTO]
    subprocess.run(command, check=True, cwd=ROOT)
    for name in GENERATED:
        committed = (ROOT / PROTO).with_name(name).read_text()
        fresh = (tmp_path / PROTO).with_name(name).read_text()
        assert _without_versions(fresh) == _without_versions(committed), "run `make proto`"


def _without_versions(source: str) -> list[str]:
    """The lines but for those that name the versions of the generators."""
    return [
        line
        for line in source.splitlines()
        if not line.strip().rstrip(",").isdigit()
        and "Protobuf Python Version" not in line
        and "GRPC_GENERATED_VERSION =" not in line
    ]


def test_the_servicer_that_ray_serve_imports_exists() -> None:
    module, _, name = oip.SERVICER.rpartition(".")
    assert callable(getattr(__import__(module, fromlist=[name]), name))


def test_methods_are_those_of_the_service() -> None:
    service = inference_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    assert service.full_name == SERVICE
    for method in service.methods:
        assert callable(getattr(GrpcMethods, method.name))
