"""What is made of any settings that the generator accepts is right; without Kustomize."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kuberay.manifests.agreement import disagreements
from kuberay.manifests.cluster import ClusterSettings, Hostname, Name
from kuberay.manifests.files import ALERTS, ROOT, Deployment, deployment
from kuberay.manifests.monitoring import for_azure, for_operator
from serve_app.configuration import configure
from tests.kuberay.validation.problems import problems
from tests.kuberay.validation.rendering import OVERLAYS, overlays, render

BASE = ROOT / "base"


def objects(made: Deployment) -> list[dict[str, Any]]:
    return [item for group in made.files().values() for item in group]


def external(cluster: ClusterSettings) -> frozenset[str]:
    """What the settings say that others make."""
    names = set()
    if cluster.key_vault is None:
        names.add(f"Secret/{cluster.namespace}/{cluster.keys_secret}")
        if cluster.redis is not None:
            names.add(f"Secret/{cluster.namespace}/{cluster.redis.secret}")
    if cluster.gateway is not None:
        names.add(f"GatewayClass/{cluster.gateway.class_name}")
        names.add(f"ClusterIssuer/{cluster.gateway.cluster_issuer}")
        names.add(f"Namespace/{cluster.gateway.pods_namespace}")
    if cluster.upgrade.class_name is not None:
        names.add(f"GatewayClass/{cluster.upgrade.class_name}")
    return frozenset(names)


@pytest.mark.parametrize("folder", [BASE, *(OVERLAYS / name for name in overlays())])
def test_nothing_is_wrong_with_what_is_made_for_a_folder(folder: Path) -> None:
    made = deployment(folder)
    assert problems(objects(made), external=external(made.cluster)) == []


@pytest.mark.parametrize("folder", [BASE, *(OVERLAYS / name for name in overlays())])
def test_nothing_is_wrong_with_the_monitors(folder: Path) -> None:
    made = deployment(folder)
    application, cluster = made.application.settings, made.cluster
    for monitors in (
        for_operator(application, cluster, ROOT / ALERTS),
        for_azure(application, cluster),
    ):
        assert problems([*objects(made), *monitors], external=external(cluster)) == []


def test_monitors_can_be_added_to_an_overlay(tmp_path: Path) -> None:
    """As docs/kubernetes.md says for the Prometheus operator."""
    lines = ["resources:", f"  - {os.path.relpath(OVERLAYS / 'kind', tmp_path)}", "components:"]
    lines += [f"  - {os.path.relpath(ROOT / 'monitoring', tmp_path)}"]
    (tmp_path / "kustomization.yaml").write_text("\n".join(lines) + "\n")
    made = deployment(OVERLAYS / "kind")
    assert problems(render(tmp_path), external=external(made.cluster)) == []


def pattern(annotated: Any) -> str:
    (field,) = annotated.__metadata__
    (found,) = (item.pattern for item in field.metadata if hasattr(item, "pattern"))
    return str(found)


NAMES = st.from_regex(pattern(Name), fullmatch=True)
HOSTNAMES = st.from_regex(pattern(Hostname), fullmatch=True).filter(
    lambda name: len(name) < 64 and not re.search(r"-(\.|$)", name)
)
SMALL = st.integers(1, 9)
MIB = st.integers(1024, 10**6)


def optional(values: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any] | None]:
    return st.none() | st.fixed_dictionaries(values)


SIZE = {"memory_mib": MIB, "object_store_mib": st.integers(1, 512), "disk_mib": MIB}
GROUP = {**SIZE, "cpus": st.integers(8, 64), "max_pods": st.integers(3, 9), "idle_s": SMALL}
ISSUERS = st.sampled_from([{"acme_email": "a@example.org"}, {"cluster_issuer": "own"}])
CLUSTERS = st.fixed_dictionaries(
    {
        "namespace": NAMES,
        "head": st.fixed_dictionaries({**SIZE, "cpus": SMALL}),
        "cpu": st.fixed_dictionaries({**GROUP, "min_pods": st.integers(1, 3)}),
        "gpu": optional({**GROUP, "min_pods": st.integers(0, 3)}),
        "drain_s": st.integers(80, 600),
        "keys_secret": NAMES,
        "redis": optional({"address": st.just("rediss://redis.example:6380"), "secret": NAMES}),
        "gateway": optional(
            {
                "class_name": NAMES,
                "namespace": NAMES,
                "hostname": HOSTNAMES,
                "pods_namespace": st.none() | NAMES,
            }
        ),
        "key_vault": optional(
            {
                "name": st.just("kv-scoring"),
                "tenant_id": st.just("0-0"),
                "client_id": st.just("1-1"),
            }
        ),
        "monitoring": optional({"namespace": NAMES}),
    }
)
# No shrinking: an example takes a tenth of a second, and its problems say what is wrong.
PHASES = [phase for phase in Phase if phase is not Phase.shrink]
APPLICATIONS = st.fixed_dictionaries(
    {
        "grpc.port": st.sampled_from([0, 8001]),
        "http.port": st.sampled_from([8000, 8100]),
        "http.hsts_s": st.sampled_from([0, 31536000]),
        "image.max_replicas": st.integers(1, 3),
        "router.min_replicas": st.integers(1, 4),
    }
)


@settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(CLUSTERS, APPLICATIONS, ISSUERS, st.booleans(), st.data())
def test_nothing_is_wrong_with_what_is_made_of_any_settings(
    cluster: dict[str, Any],
    application: dict[str, Any],
    issuer: dict[str, str],
    incremental: bool,
    data: st.DataObject,
) -> None:
    if cluster["redis"] is None:
        cluster["volume"] = {"size_mib": data.draw(MIB)}
    if cluster["gateway"] is not None:
        cluster["gateway"] |= issuer
        if incremental:
            strategy = "NewClusterWithIncrementalUpgrade"
            step = data.draw(st.integers(1, 100), label="step")
            surge = data.draw(st.integers(step, 100), label="surge")
            cluster["upgrade"] = {
                "strategy": strategy,
                "class_name": data.draw(NAMES),
                "step_percent": step,
                "surge_percent": surge,
            }
    with_gpu = cluster["gpu"] is not None
    common = {
        "data_dir": "/var/lib/scoring",
        "http.host": "0.0.0.0",
        "auth.keys": "/etc/scoring/keys.json",
        "registry.uri": "baked:///opt/scoring/models",
        "router.max_replicas": 9,
        "image.num_gpus": 1 if with_gpu else None,
        "image.min_replicas": 0,
    }
    chosen = {key: value for key, value in (common | application).items() if value is not None}
    configuration = configure(chosen, environment={}, folder=Path("/"))
    try:
        sizes = ClusterSettings.model_validate(cluster)
    except ValidationError:
        assume(False)
        raise
    assume(not list(disagreements(configuration.settings, sizes)))
    # One object cannot be two.
    assume(sizes.gateway is None or sizes.gateway.namespace != sizes.namespace)
    assume(sizes.redis is None or sizes.redis.secret != sizes.keys_secret)
    made = Deployment(configuration, sizes)
    assert problems(objects(made), external=external(sizes)) == []
