"""What only the cluster knows: sizes of pods, names, addresses. The rest is the application's."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from serve_app.settings import Count, Section

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
"""Of an object (RFC 1123 label)."""
Hostname = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9][-a-z0-9]*)+$")]


class PodSize(Section):
    """What one pod gets: requests and limits, and what Ray is told."""

    cpus: Count = Field(description="CPUs: the limit, and for workers what Ray is told")
    cpu_request: float | None = Field(
        None, gt=0, description="CPUs that the scheduler sets aside; without it, the limit"
    )
    memory_mib: Count = Field(description="memory, requested and limited")
    object_store_mib: Count = Field(description="of it for Ray's object store, in /dev/shm")
    disk_mib: Count = Field(description="temporary storage: Ray's session, logs and fetched models")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.cpu_request is not None and self.cpu_request > self.cpus:
            raise ValueError("cpu_request is above cpus")
        if self.object_store_mib * 2 > self.memory_mib:
            raise ValueError("object_store_mib is more than half of memory_mib")
        return self


class AutoscalerSize(Section):
    """What Ray's autoscaler gets, beside the head."""

    cpu_request: float = Field(0.25, gt=0, description="CPUs that the scheduler sets aside")
    cpus: float = Field(0.5, gt=0, description="CPUs: the limit")
    memory_mib: Count = Field(1024, description="memory, requested and limited")


class Group(PodSize):
    """Workers of one kind, between two numbers."""

    min_pods: int = Field(ge=0, description="fewest pods")
    max_pods: Count = Field(description="most pods")
    idle_s: Count = Field(300, description="seconds without a replica after which a pod goes")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_pods > self.max_pods:
            raise ValueError("min_pods is above max_pods")
        return self


class GpuGroup(Group):
    """Workers with one GPU each."""

    resource: str = Field("nvidia.com/gpu", description="how the device plugin calls a GPU")
    taint_key: str = Field("sku", description="taint of the nodes: key")
    taint_value: str = Field("gpu", description="and value; its effect is NoSchedule")


class RedisSettings(Section):
    """Where the state of the head is kept, so that a new head goes on where the old one stood."""

    address: str = Field(
        pattern=r"^rediss?://[^/@]+:\d+$",
        description="rediss://HOST:PORT (TLS) or redis://HOST:PORT",
    )
    secret: Name = Field("scoring-redis", description="secret with the password")
    secret_key: str = Field("password", description="its key")


class VolumeSettings(Section):
    """The same on a disk of its own, in RocksDB."""

    size_mib: Count = Field(1024, description="size of the volume")
    storage_class: Name | None = Field(None, description="its class; without one, the default")


class GatewaySettings(Section):
    """The way in from outside (Gateway API)."""

    class_name: Name = Field(description="GatewayClass")
    namespace: Name = Field(description="of the Gateway; not the service's, which is closed")
    pods_namespace: Name | None = Field(
        None, description="where its pods run; without it, beside the Gateway"
    )
    pod_labels: Mapping[str, str] = Field(
        {"gateway.networking.k8s.io/gateway-name": "scoring"},
        description="of its pods: they alone reach the service",
    )
    annotations: Mapping[str, str] = Field(
        {}, description="for what the implementation makes, such as a load balancer's DNS label"
    )
    hostname: Hostname = Field(description="name under which clients find the service")
    acme_email: str | None = Field(None, description="contact for an issuer of its own (ACME)")
    acme_server: str = "https://acme-v02.api.letsencrypt.org/directory"
    cluster_issuer: Name | None = Field(None, description="an issuer of cert-manager that exists")

    @model_validator(mode="after")
    def _one_issuer(self) -> Self:
        if (self.acme_email is None) == (self.cluster_issuer is None):
            raise ValueError("give acme_email or cluster_issuer, one of both")
        return self


class KeyVaultSettings(Section):
    """Where secrets come from (Secrets Store CSI driver with workload identity)."""

    name: str = Field(pattern=r"^[a-zA-Z][-a-zA-Z0-9]{1,22}[a-zA-Z0-9]$", description="the vault")
    tenant_id: str = Field(description="tenant of the vault")
    client_id: str = Field(description="client id of the managed identity that reads it")
    keys: str = Field("scoring-keys", description="the vault's secret with keys.json")
    redis_password: str = Field("redis-password", description="and that with Redis's password")


class MonitoringSettings(Section):
    """Who may read metrics."""

    namespace: Name = Field(description="namespace of Prometheus or of Azure's agent")


class UpgradeSettings(Section):
    """How a changed pod reaches the traffic."""

    strategy: Literal["NewCluster", "NewClusterWithIncrementalUpgrade"] = "NewCluster"
    class_name: Name | None = Field(
        None,
        description="GatewayClass of the gateway that KubeRay makes to share the traffic; one "
        "whose gateways the world cannot reach, since KubeRay gives it plain HTTP",
    )
    step_percent: int = Field(10, ge=1, le=100, description="traffic moved in a step")
    interval_s: Count = Field(60, description="seconds between two steps")
    surge_percent: int = Field(100, ge=1, le=100, description="capacity that the new one may have")


class ClusterSettings(Section):
    """All of it."""

    namespace: Name = "scoring"
    operator_namespace: Name = Field("kuberay-system", description="where KubeRay's operator runs")
    head: PodSize
    autoscaler: AutoscalerSize = AutoscalerSize()
    cpu: Group
    gpu: GpuGroup | None = Field(None, description="without it, the cluster has no GPUs")
    haproxy_threads: Count = Field(2, description="threads of each node's HAProxy")
    drain_s: Count = Field(
        270,
        description="seconds that a pod has to give its work away before it is stopped; a node for "
        "the replicas that take its place may have to come first",
    )
    keys_secret: Name = Field("scoring-keys", description="secret with keys.json")
    redis: RedisSettings | None = None
    volume: VolumeSettings | None = None
    gateway: GatewaySettings | None = None
    key_vault: KeyVaultSettings | None = None
    monitoring: MonitoringSettings | None = None
    upgrade: UpgradeSettings = UpgradeSettings()

    @model_validator(mode="after")
    def _one_store(self) -> Self:
        if (self.redis is None) == (self.volume is None):
            raise ValueError("the head's state goes to redis or to a volume: give one of both")
        return self

    @model_validator(mode="after")
    def _incremental(self) -> Self:
        if self.is_incremental and (self.gateway is None or self.upgrade.class_name is None):
            raise ValueError("an upgrade in steps needs gateway and upgrade.class_name")
        return self

    @property
    def is_incremental(self) -> bool:
        """Whether an upgrade moves the traffic in steps."""
        return self.upgrade.strategy == "NewClusterWithIncrementalUpgrade"
