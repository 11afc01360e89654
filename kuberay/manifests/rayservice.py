"""The RayService: the whole application for KubeRay."""

from importlib.metadata import version

import yaml

from kuberay.manifests.cluster import ClusterSettings
from kuberay.manifests.objects import NAME, Object, made, mebibytes
from kuberay.manifests.pods import autoscaler, head_group, worker_groups
from kuberay.manifests.times import old_cluster_s
from serve_app.configuration import Configuration
from serve_app.serve_config import serve_config


def rayservice(configuration: Configuration, cluster: ClusterSettings) -> Object:
    """As KubeRay 1.7 takes it."""
    settings = configuration.settings
    service = made("ray.io/v1", "RayService", NAME, cluster.namespace)
    service["spec"] = {
        "serveConfigV2": yaml.safe_dump(serve_config(configuration), sort_keys=False),
        "excludeHeadPodFromServeSvc": True,
        # Requests that began on the old cluster end there.
        "rayClusterDeletionDelaySeconds": old_cluster_s(settings),
        "upgradeStrategy": _upgrade(cluster),
        "rayClusterConfig": {
            "rayVersion": version("ray"),
            "authOptions": {"mode": "token"},
            "gcsFaultToleranceOptions": _state(cluster),
            "enableInTreeAutoscaling": True,
            "autoscalerOptions": autoscaler(cluster),
            "headGroupSpec": head_group(settings, cluster),
            "workerGroupSpecs": worker_groups(settings, cluster),
        },
    }
    return service


def _state(cluster: ClusterSettings) -> Object:
    """Where the head's state outlives the head."""
    if cluster.redis is not None:
        secret = {"name": cluster.redis.secret, "key": cluster.redis.secret_key}
        return {
            "redisAddress": cluster.redis.address,
            "redisPassword": {"valueFrom": {"secretKeyRef": secret}},
        }
    assert cluster.volume is not None  # ClusterSettings has seen to it
    storage: Object = {
        "size": mebibytes(cluster.volume.size_mib),
        "deletionPolicy": "DeleteWithCluster",
    }
    if cluster.volume.storage_class is not None:
        storage["storageClassName"] = cluster.volume.storage_class
    return {"backend": "rocksdb", "storage": storage}


def _upgrade(cluster: ClusterSettings) -> Object:
    upgrade = cluster.upgrade
    if not cluster.is_incremental:
        return {"type": upgrade.strategy}
    return {
        "type": upgrade.strategy,
        "clusterUpgradeOptions": {
            "gatewayClassName": upgrade.class_name,
            "stepSizePercent": upgrade.step_percent,
            "intervalSeconds": upgrade.interval_s,
            "maxSurgePercent": upgrade.surge_percent,
        },
    }
