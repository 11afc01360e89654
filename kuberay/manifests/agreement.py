"""Where the application's settings and the cluster's must agree."""

from collections.abc import Iterator

from kuberay.manifests.cluster import ClusterSettings
from kuberay.manifests.pods import AGENT_PORT, DASHBOARD_PORT, GCS_PORT, METRICS_PORT
from serve_app.fast_path import HAPROXY_PORTS
from serve_app.serve_config import ROUTER_STAYS_S
from serve_app.settings import FaqSettings, RouterSettings, Settings

TAKEN = frozenset(
    {
        *(AGENT_PORT, METRICS_PORT, GCS_PORT, DASHBOARD_PORT),
        *HAPROXY_PORTS,
        *(9500, 10001),  # gRPC's fallback proxy, and the port of Ray's client
        *range(30000, 31001),
        *range(40000, 41001),
    }
)
"""Ports of Ray, Ray Serve, HAProxy and the replicas in each pod."""


def disagreements(settings: Settings, cluster: ClusterSettings) -> Iterator[str]:
    """What would keep the application from running there, a sentence each."""
    if settings.http.is_local:
        yield "http.host: on loopback no other pod reaches the service"
    if settings.auth.keys is None or settings.keys_file.is_relative_to(settings.data_dir):
        yield "auth.keys: must name a file outside of data_dir, in a folder that is mounted"
    for key, port in (("http.port", settings.http.port), ("grpc.port", settings.grpc.port)):
        if port in TAKEN:
            yield f"{key}: Ray or HAProxy has port {port} in each pod"
    if settings.http.port == settings.grpc.port:
        yield "grpc.port: is http.port"
    stops = ROUTER_STAYS_S + settings.http.deadline_s
    if cluster.drain_s < stops:
        yield f"cluster.drain_s: a Router needs {stops:g} s to stop"
    yield from _places(settings, cluster)
    yield from _gpus(settings, cluster)


def _places(settings: Settings, cluster: ClusterSettings) -> Iterator[str]:
    group = cluster.cpu
    scalings: dict[str, RouterSettings | FaqSettings] = {
        "router": settings.router,
        "faq": settings.faq,
    }
    for name, scaling in scalings.items():
        if scaling.num_cpus > group.cpus:
            yield f"{name}.num_cpus: one replica needs more than a pod of cluster.cpu has"
    for bound, pods in (("min", group.min_pods), ("max", group.max_pods)):
        wanted = sum(
            getattr(scaling, f"{bound}_replicas") * scaling.num_cpus
            for scaling in scalings.values()
        )
        if wanted > pods * group.cpus:
            yield (
                f"cluster.cpu.{bound}_pods: router.{bound}_replicas and faq.{bound}_replicas need "
                f"{wanted:g} CPUs, the pods have {pods * group.cpus}"
            )


def _gpus(settings: Settings, cluster: ClusterSettings) -> Iterator[str]:
    image, group = settings.image, cluster.gpu
    if group is None:
        if image.num_gpus:
            yield "image.num_gpus: without cluster.gpu there is no GPU"
        return
    if not image.num_gpus:
        yield "image.num_gpus: must be given with cluster.gpu, which may begin with no pod"
        return
    if (image.num_cpus or 1) > group.cpus:
        yield "image.num_cpus: one replica needs more than a pod of cluster.gpu has"
    if image.max_replicas * image.num_gpus > group.max_pods:
        yield "image.max_replicas: more than the GPUs of cluster.gpu.max_pods"
