"""Who the pods are, to the API server and to Azure, and who gives way to whom."""

from kuberay.manifests.cluster import ClusterSettings, KeyVaultSettings
from kuberay.manifests.objects import HEAD, NAME, Object, made
from serve_app.settings import Settings

WORKER = "worker"


def accounts(cluster: ClusterSettings) -> list[Object]:
    """Accounts without any right. KubeRay binds the head's to what its autoscaler needs."""
    identity = cluster.key_vault
    known = {"azure.workload.identity/client-id": identity.client_id} if identity else None
    return [
        {
            **made(
                "v1",
                "ServiceAccount",
                f"{NAME}-{role}",
                cluster.namespace,
                annotations=known,
            ),
            "automountServiceAccountToken": False,
        }
        for role in (HEAD, WORKER)
    ]


def priorities() -> list[Object]:
    """Without the head nothing new starts; workers are next."""
    return [
        {
            **made("scheduling.k8s.io/v1", "PriorityClass", f"{NAME}-{role}"),
            "value": value,
            "globalDefault": False,
            "preemptionPolicy": "PreemptLowerPriority",
            "description": f"realtime-scoring: {role} of the Ray cluster",
        }
        for role, value in ((HEAD, 1_000_000), (WORKER, 900_000))
    ]


def secret_providers(settings: Settings, cluster: ClusterSettings) -> list[Object]:
    """What the CSI driver brings from the vault: the keys, and the password of Redis."""
    vault = cluster.key_vault
    if vault is None:
        return []
    providers = [
        _provider(cluster, vault, cluster.keys_secret, vault.keys, settings.keys_file.name)
    ]
    if cluster.redis is not None:
        redis = _provider(
            cluster, vault, cluster.redis.secret, vault.redis_password, cluster.redis.secret_key
        )
        # KubeRay wants the password in a secret: the driver keeps one while a pod has the volume.
        redis["spec"]["secretObjects"] = [
            {
                "secretName": cluster.redis.secret,
                "type": "Opaque",
                "data": [{"objectName": cluster.redis.secret_key, "key": cluster.redis.secret_key}],
            }
        ]
        providers.append(redis)
    return providers


def _provider(
    cluster: ClusterSettings, vault: KeyVaultSettings, name: str, secret: str, file: str
) -> Object:
    provider = made("secrets-store.csi.x-k8s.io/v1", "SecretProviderClass", name, cluster.namespace)
    wanted = f"- |\n  objectName: {secret}\n  objectType: secret\n  objectAlias: {file}\n"
    provider["spec"] = {
        "provider": "azure",
        "parameters": {
            "clientID": vault.client_id,
            "keyvaultName": vault.name,
            "tenantId": vault.tenant_id,
            "objects": "array:\n" + "".join(f"  {line}\n" for line in wanted.splitlines()),
        },
    }
    return provider
