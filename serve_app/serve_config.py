"""Ray Serve's config of the application: what `serve deploy` and KubeRay's `serveConfigV2` take."""

from typing import Any

from serve_app.configuration import Configuration
from serve_app.grpc_port import grpc_options

APPLICATION = "scoring"
IMPORT_PATH = "serve_app:app"

GRACEFUL_SHUTDOWN_S = 40
"""How long a model's replica that is to stop may finish what it has."""

ROUTER_STAYS_S = 35
"""Before that a Router goes on answering, until no HAProxy sends requests to it any more: Ray Serve
takes 30 s where clients reach replicas directly, and asks for 35."""


def serve_config(configuration: Configuration) -> dict[str, Any]:
    """Ports and one application, with the settings that differ from the defaults as arguments."""
    http = configuration.settings.http
    return {
        "http_options": {"host": http.host, "port": http.port},
        "grpc_options": grpc_options(configuration.settings.grpc),
        "applications": [
            {
                "name": APPLICATION,
                "import_path": IMPORT_PATH,
                "route_prefix": "/",
                "args": configuration.changed(),
            }
        ],
    }
