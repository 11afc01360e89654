"""Where gRPC listens."""

import pytest
from ray.serve._private import default_impl

from serve_app.grpc_port import LOOPBACK_ONLY, grpc_options, keep_to_loopback
from serve_app.oip import SERVICER
from serve_app.settings import GrpcSettings


class Server:
    """Remembers what it was told to listen on."""

    def __init__(self) -> None:
        self.addresses: list[str] = []

    def add_insecure_port(self, address: str) -> None:
        self.addresses.append(address)


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts Ray Serve's function back after each test."""
    monkeypatch.setattr(default_impl, "add_grpc_address", default_impl.add_grpc_address)


def test_port_0_switches_grpc_off() -> None:
    assert grpc_options(GrpcSettings(port=0))["grpc_servicer_functions"] == []
    assert grpc_options(GrpcSettings(port=7))["grpc_servicer_functions"] == [SERVICER]


def test_reflection_is_off() -> None:
    assert grpc_options(GrpcSettings())["enable_reflection"] is False


def test_loopback_where_the_environment_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in LOOPBACK_ONLY.items():
        monkeypatch.setenv(name, value)
    keep_to_loopback()
    server = Server()
    default_impl.add_grpc_address(server, "[::]:40000")  # type: ignore[arg-type]
    assert server.addresses == ["127.0.0.1:40000"]
    with pytest.raises(RuntimeError, match="wants to listen"):
        default_impl.add_grpc_address(server, "10.0.0.1:1")  # type: ignore[arg-type]


def test_every_interface_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LOOPBACK_ONLY:
        monkeypatch.delenv(name, raising=False)
    keep_to_loopback()
    server = Server()
    default_impl.add_grpc_address(server, "[::]:40000")  # type: ignore[arg-type]
    assert server.addresses == ["[::]:40000"]
