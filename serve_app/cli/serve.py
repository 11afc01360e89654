"""`scoring serve`: starts Ray and the application, shows the request log, stops both."""

import contextlib
import os
import shlex
import socket
import sys
import time
from pathlib import Path

import httpx
import psutil

from serve_app.access.exposure import Exposed, keys_of
from serve_app.access.key_file import KeysUnreadable
from serve_app.cli.follow import follow
from serve_app.cli.messages import fail
from serve_app.cli.stop import StopSignal
from serve_app.configuration import API_KEY, Configuration
from serve_app.fast_path import FAST_PATH, HAPROXY_PORTS, LOCAL
from serve_app.grpc_port import LOOPBACK_ONLY, grpc_options
from serve_app.models import Missing, Models, PreparationFailed, prepare
from serve_app.serve_config import APPLICATION
from serve_app.settings import Settings

READY_TIMEOUT_S = 600
POLL_S = 0.2
STOP_S = 3.0
LOOPBACK = "127.0.0.1"
EXAMPLE_PICTURE = Path(__file__).parents[2] / "examples" / "picture.png"
FEWEST_CPUS = 2
"""What the replicas reserve together, which a machine with one core would not offer."""


def serve(configuration: Configuration) -> int:
    """Returns when a signal asks it to stop; everything that it started is stopped then."""
    stop = StopSignal()
    stop.listen()
    settings = configuration.settings
    try:
        keys_of(settings, settings.http.host)
        models = prepare(configuration)
    except (Exposed, KeysUnreadable, PreparationFailed) as error:
        return fail(error)
    if taken := _taken_ports(settings):
        return fail(f"ports in use: {taken}; one application runs on a machine")
    os.environ.update({**LOCAL, **os.environ, **FAST_PATH})
    if settings.http.is_local:
        os.environ.update(LOOPBACK_ONLY)
    try:
        _start(settings, models)
        stop.listen()  # once more: Ray puts its own handlers in place
        if not _wait_until_ready(settings, stop):
            return 0 if stop.is_set() else 1
        _welcome(settings, models)
        follow(settings.log_file, stop)
    finally:
        print("stopping", flush=True)
        _stop()
    return 0


def _taken_ports(settings: Settings) -> list[int]:
    """Those of the ports that HAProxy needs on which somebody listens: it would say so nowhere."""
    grpc = [settings.grpc.port] if settings.grpc.port else []
    ports = [settings.http.port, *grpc, *HAPROXY_PORTS]
    return [port for port in ports if not _can_bind(LOOPBACK, port)]


def _can_bind(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _start(settings: Settings, models: Models) -> None:
    # Ray Serve reads the environment on import: not before the fast path's variables are set.
    import ray
    from ray import serve
    from ray.serve.api import RunTarget

    from serve_app.application import build

    ray.init(
        address="local",
        include_dashboard=False,
        num_cpus=max(FEWEST_CPUS, os.cpu_count() or 1),
        log_to_driver=False,
        namespace="scoring",
    )
    serve.start(
        http_options={"host": settings.http.host, "port": settings.http.port},
        grpc_options=grpc_options(settings.grpc),
    )
    # Not waiting for "running": one broken model must not keep the other from serving.
    serve.run_many(
        [RunTarget(build(settings, models), name=APPLICATION, route_prefix="/")],
        wait_for_ingress_deployment_creation=True,
        wait_for_applications_running=False,
    )


def _stop() -> None:
    import ray

    # Ray ends its own processes but leaves HAProxy, a grandchild, behind.
    started = psutil.Process().children(recursive=True)
    ray.shutdown()
    _, alive = psutil.wait_procs(started, timeout=STOP_S)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=STOP_S)


def _wait_until_ready(settings: Settings, stop: StopSignal) -> bool:
    """Asks until every model has loaded or turned out to be broken."""
    url = f"{_url(settings)}/readyz"
    deadline = time.monotonic() + READY_TIMEOUT_S
    with httpx.Client(timeout=5, trust_env=False) as client:
        while not stop.is_set() and time.monotonic() < deadline:
            try:
                answer = client.get(url)
            except httpx.TransportError:
                answer = None
            # Before the router runs, Ray Serve answers 404 or 500 in its own words.
            if answer is not None and answer.status_code == httpx.codes.OK:
                return _report(answer.json())
            stop.wait(POLL_S)
    if not stop.is_set():
        print(f"scoring: not ready after {READY_TIMEOUT_S} s; see Ray's logs", file=sys.stderr)
    return False


def _report(readiness: dict[str, list[dict[str, str]]]) -> bool:
    for model in readiness["models"]:
        version = f" version {model['version']}" if model["version"] else ""
        print(f"{model['name']}{version}: {model['state']}")
    return True


def _welcome(settings: Settings, models: Models) -> None:
    url = _url(settings)
    question = shlex.quote('{"question": "what is a closure", "top_k": 3}')
    classify = shlex.quote(f"{url}/v1/images/classify?top_k=3")
    picture = shlex.quote(str(EXAMPLE_PICTURE))
    key = ""
    if settings.keys_file.exists() or settings.auth.issuer is not None:
        key = f' -H "authorization: Bearer ${API_KEY}"'
    print(f"\nready on {url} (documentation: {url}/docs); open it in a browser, or try\n")
    print(f"  curl -s {url}/v1/faq/rank{key} -H 'content-type: application/json' -d {question}")
    print(f"  curl -s {classify}{key} -H 'content-type: image/png' --data-binary @{picture}")
    print(f"  curl -s {url}/readyz\n")
    if isinstance(models.image, Missing):
        print(f"The image routes answer 503: {models.image.reason}\n")
    print("One line a request follows; Ctrl-C stops everything.", flush=True)


def _url(settings: Settings) -> str:
    host, port = settings.http.host, settings.http.port
    # "Every interface" is no address to send a request to.
    host = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
