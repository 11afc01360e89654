"""Where gRPC listens.

HAProxy listens on the host of HTTP. Behind it, each process of Ray Serve that serves gRPC (the
Router's replicas, from port 40000 on, and the fallback proxy on 9500) listens on every interface,
and has no option for another one; on a service that only its own machine may reach, that would be
a way around it.
"""

import os
from collections.abc import Mapping
from typing import Any

from serve_app.oip import SERVICER
from serve_app.settings import GrpcSettings

LOOPBACK_ONLY: Mapping[str, str] = {"REALTIME_SCORING_GRPC_LOOPBACK": "1"}
"""Tells Ray's processes, which know no settings when their servers start."""

EVERY_INTERFACE, LOOPBACK = "[::]:", "127.0.0.1:"


def grpc_options(settings: GrpcSettings) -> dict[str, Any]:
    """Ray Serve's `grpc_options`: with port 0 nothing listens, whatever the methods are.

    Reflection is off: it would answer callers that nobody has let in.
    """
    return {
        "port": settings.port,
        "grpc_servicer_functions": [SERVICER] if settings.port else [],
        "enable_reflection": False,
    }


def keep_to_loopback() -> None:
    """Has this process's gRPC servers listen on loopback, where the environment says so."""
    if not os.environ.items() >= LOOPBACK_ONLY.items():
        return
    from ray.serve._private import default_impl

    def add_address(grpc_server: Any, server_address: str) -> None:
        if not server_address.startswith(EVERY_INTERFACE):
            raise RuntimeError(f"Ray Serve's gRPC server wants to listen on {server_address}")
        grpc_server.add_insecure_port(LOOPBACK + server_address.removeprefix(EVERY_INTERFACE))

    # Looked up in this module by name at each start of a server.
    default_impl.add_grpc_address = add_address
