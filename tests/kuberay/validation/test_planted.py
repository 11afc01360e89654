"""Errors that are planted in right objects: each is found, with the object and the place named."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kuberay.validation.keywords import place
from tests.kuberay.validation.operator_rules import EXTERNAL_STORAGE
from tests.kuberay.validation.planting import (
    REMOVED,
    changed,
    examples,
    mappings,
    misspelled,
    renamed,
    scalars,
)
from tests.kuberay.validation.pod_security import security_problems
from tests.kuberay.validation.problems import problems
from tests.kuberay.validation.references import intersect
from tests.kuberay.validation.schemas import kind_of

CLUSTER = "spec rayClusterConfig"
HEAD = f"{CLUSTER} headGroupSpec"
HEAD_POD = f"{HEAD} template spec"
CPU = f"{CLUSTER} workerGroupSpecs 0"
CPU_POD = f"{CPU} template spec"
RAY = "RayService shop/shop"
ROUTE = "HTTPRoute shop/shop"
GATEWAY = "Gateway shop/shop"
RULE = "PrometheusRule shop/shop"
CERTIFICATE = "Certificate shop/shop"

# Object, place, what is put there, and, where it is another one than that, the place that is named.
SCHEMA: list[tuple[Any, ...]] = [
    # Kubernetes's own kinds.
    ("ConfigMap shop/board", "dta", {}),
    ("ConfigMap shop/board", "data colour", 5),
    ("ConfigMap shop/board", "metadata annotation", {}),
    ("ConfigMap shop/board", "kind", "ConfigMapp"),
    ("ConfigMap shop/board", "apiVersion", "v2", "kind"),
    ("ConfigMap shop/board", "metadata namespace", REMOVED),
    ("ConfigMap shop/board", "data colour", None),
    ("Namespace shop", "metadata namespace", "shop"),
    ("PriorityClass shop-first", "value", "high"),
    ("PersistentVolumeClaim shop/models", "spec resources requests storage", "1 Gi"),
    ("PersistentVolumeClaim shop/models", "spec resources requests storage", "1GiB"),
    ("PodDisruptionBudget shop/cpu", "spec selector matchLabel", {}),
    ("PodDisruptionBudget shop/cpu", "apiVersion", "policy/v1beta1", "kind"),
    ("NetworkPolicy shop/serve", "spec ingress 0 port", 80),
    ("NetworkPolicy shop/serve", "spec ingress 0 ports 0 endport", 80),
    ("Service shop/grpc", "spec ports 0 port", "8001"),
    ("Service shop/grpc", "spec ports 1", {"name": "two", "port": 8001}, "spec.ports"),
    (
        "Deployment shop/redis",
        "spec template spec containers 0 image",
        REMOVED,
        "containers[0].image",
    ),
    ("Deployment shop/redis", "spec template spec containers 0 resources limits cpu", "half"),
    ("CronJob shop/nightly", "spec jobTemplate spec template spec container", []),
    ("CronJob shop/nightly", "spec schedule", REMOVED),
    ("RoleBinding shop/reader", "roleRef name", REMOVED),
    # KubeRay's, at every depth.
    (RAY, "spec rayClusterconfig", {}),
    (RAY, f"{CLUSTER} enableIntreeAutoscaling", True),
    (RAY, f"{CLUSTER} autoscalerOptions idleTimeout", 60),
    (RAY, f"{CLUSTER} autoscalerOptions version", "v3"),
    (RAY, f"{CLUSTER} autoscalerOptions resources limits memory", "lots"),
    (RAY, f"{CLUSTER} authOptions mode", "tokens"),
    (RAY, f"{CLUSTER} gcsFaultToleranceOptions backend", "etcd"),
    (RAY, f"{CPU} maxReplica", 3),
    (RAY, f"{CPU} groupName", REMOVED),
    (RAY, f"{CPU} replicas", 2.5),
    (RAY, f"{CPU} maxReplicas", 2**31),
    (RAY, f"{CPU} rayStartParams num-cpus", 1),
    (RAY, f"{CPU} template metadata label", {}),
    (RAY, f"{CPU_POD} terminationGracePeriod", 90),
    (RAY, f"{CPU_POD} containers 0 readinesProbe", {}),
    (RAY, f"{CPU_POD} containers 0 readinessProbe periodSecond", 5),
    (RAY, f"{CPU_POD} containers 0 readinessProbe httpGet paht", "/"),
    (RAY, f"{CPU_POD} containers 0 resources limits cpu", "two"),
    (RAY, f"{CPU_POD} containers 0 resources limits cpu", "2\n"),
    (RAY, f"{CPU_POD} containers 0 ports 1", {"containerPort": 8000}, "containers[0].ports"),
    (RAY, f"{CPU_POD} containers 0 env 0 valueFrom configMapKeyRef keys", "colour"),
    (RAY, f"{CPU_POD} tolerations 0 effects", "NoSchedule"),
    (RAY, f"{CPU_POD} volumes 0 emptyDir sizelimit", "1Gi"),
    (RAY, f"{HEAD} template", REMOVED),
    (
        RAY,
        f"{CPU_POD} containers 0 env 1",
        {"name": "COLOUR", "value": "x"},
        "containers[0].env: name",
    ),
    (
        RAY,
        f"{CPU_POD} containers 0 volumeMounts 1 mountPath",
        "/dev/shm",
        "containers[0].volumeMounts: mountPath",
    ),
    (RAY, f"{CPU_POD} volumes 1 name", "shm", f"{CPU_POD} volumes"),
    (RAY, f"{CPU_POD} containers 1", {"name": "ray-worker", "image": "x"}, f"{CPU_POD} containers"),
    (RAY, "spec managedBy", "us"),
    (RAY, "spec upgradeStrategy clusterUpgradeOptions gatewayClassName", REMOVED),
    # Gateway API, with its rules.
    (GATEWAY, "spec listener", []),
    (GATEWAY, "spec listeners 0 protocol", "http"),
    (GATEWAY, "spec listeners 0 port", -1),
    (GATEWAY, "spec listeners 0 port", 65536),
    (GATEWAY, "spec listeners 0 hostname", "Shop.example"),
    (GATEWAY, "spec listeners 0 hostname", "shop.*.example"),
    (GATEWAY, "spec listeners 0 name", "https", "spec.listeners: name"),
    (
        GATEWAY,
        "spec listeners 0 tls",
        {"certificateRefs": [{"name": "shop-tls"}]},
        "spec.listeners",
    ),
    (GATEWAY, "spec listeners 1 tls", REMOVED, "spec.listeners"),
    (GATEWAY, "spec listeners 1 tls certificateRefs", [], "spec.listeners[1].tls"),
    (
        GATEWAY,
        "spec listeners 1 allowedRoutes namespaces from",
        "All",
        "spec.listeners[1].allowedRoutes.namespaces",
    ),
    (ROUTE, "spec parentRefs 1", {"name": "shop", "sectionName": "https"}, "spec.parentRefs"),
    (ROUTE, "spec rules 0 timeouts request", "1m30"),
    (ROUTE, "spec rules 0 timeouts request", "60"),
    (ROUTE, "spec rules 0 timeouts backendRequest", "61s", "spec.rules[0].timeouts"),
    (ROUTE, "spec rules 0 matches 0 path type", "Prefix"),
    (ROUTE, "spec rules 0 matches 0 path value", "v1", "spec.rules[0].matches[0].path"),
    (ROUTE, "spec rules 0 matches 0 path value", "/v1/../v2", "spec.rules[0].matches[0].path"),
    (ROUTE, "spec rules 0 matches 0 method", "post"),
    (ROUTE, "spec rules 0 filters 0 responseHeaderModifier set 0 name", "No Space"),
    (ROUTE, "spec rules 0 filters 0 type", "ResponseHeaderModifer"),
    (ROUTE, "spec rules 0 filters 0 type", "RequestHeaderModifier", "spec.rules[0].filters[0]"),
    (ROUTE, "spec rules 0 backendRefs 0 port", REMOVED, "spec.rules[0].backendRefs[0]"),
    (ROUTE, "spec rules 0 backendRefs 0 weight", -1),
    (ROUTE, "spec hostnames 0", "10.0.0.1:80"),
    ("HTTPRoute shop/redirect", "spec rules 0 filters 0 requestRedirect statusCode", 307),
    (
        "HTTPRoute shop/redirect",
        "spec rules 0 backendRefs",
        [{"name": "a", "port": 1}],
        "spec.rules[0]",
    ),
    ("GRPCRoute shop/shop", "spec rules 0 matches 0 method", {}, "spec.rules[0].matches[0].method"),
    # Monitoring.
    ("PodMonitor shop/ray", "spec podMetricsEndpoints 0 interval", "30"),
    ("PodMonitor shop/ray", "spec podMetricsEndpoints 0 interval", "half a minute"),
    ("PodMonitor shop/ray", "spec podMetricsEndpoints 0 targetPort", 8080),
    ("PodMonitor shop/ray", "spec podMetricsEndpoints 0 port", REMOVED, "podMetricsEndpoints[0]"),
    ("PodMonitor shop/ray", "spec podMetricsEndpoints 0 relabelings 0 action", "rewrite"),
    (
        "PodMonitor shop/ray",
        "spec podMetricsEndpoints 0 scrapeTimeout",
        "40s",
        "podMetricsEndpoints[0]",
    ),
    ("ServiceMonitor shop/grpc", "spec endpoints 0 path", "metrics"),
    (RULE, "spec groups 0 rules 0 alert", "Both", "spec.groups[0].rules[0]"),
    (RULE, "spec groups 0 rules 1 for", "5 minutes"),
    (RULE, "spec groups 0 rules 1 expr", REMOVED),
    (RULE, "spec groups 0 rules 1 lables", {}),
    ("Probe shop/shop", "spec prober", {}),
    ("ScrapeConfig shop/shop", "spec staticConfigs 0 target", []),
    # Certificates and secrets.
    (CERTIFICATE, "spec secretname", "x"),
    (CERTIFICATE, "spec issuerRef kind", "Isuer"),
    (CERTIFICATE, "spec renewBefore", "30d"),
    (CERTIFICATE, "spec renewBefore", "9999h", "spec: renewBefore"),
    (CERTIFICATE, "spec duration", "10m", "spec: duration"),
    (CERTIFICATE, "spec privateKey size", 2048, "spec.privateKey"),
    (CERTIFICATE, "spec dnsNames", REMOVED, "spec: a name"),
    ("Issuer shop/acme", "spec selfSigned", {}, "spec: selfSigned"),
    ("Issuer shop/acme", "spec acme server", "acme.example"),
    ("ClusterIssuer own", "metadata namespace", "shop"),
    ("SecretProviderClass shop/vault", "spec provider", "aws"),
    ("SecretProviderClass shop/vault", "spec parameters tenantID", "x"),
    ("SecretProviderClass shop/vault", "spec parameters usePodIdentity", False),
    ("SecretProviderClass shop/vault", "spec secretObjects 0 data 0 object", "x"),
]
MEANING: list[tuple[Any, ...]] = [
    # Metadata.
    ("ConfigMap shop/board", "metadata name", "Board", "ConfigMap shop/Board: metadata.name"),
    ("ConfigMap shop/board", "metadata name", "b" * 254, "metadata.name"),
    ("Service shop/grpc", "metadata name", "2grpc", "Service shop/2grpc: metadata.name"),
    (
        "ConfigMap shop/board",
        "metadata namespace",
        "the.shop",
        "the.shop/board: metadata.namespace",
    ),
    ("ConfigMap shop/board", "metadata annotations", {"a": "x" * 2**18}, "metadata.annotations"),
    ("ConfigMap shop/board", "metadata labels", {"bad key": "x"}, "metadata.labels.bad key"),
    ("ConfigMap shop/board", "metadata labels", {"a": "b c"}, "metadata.labels.a"),
    (
        "ConfigMap shop/board",
        "metadata annotations",
        {"UPPER.example/-": "x"},
        "metadata.annotations",
    ),
    (RAY, f"{CPU} template metadata labels", {"a": "b c"}, "template.metadata.labels.a"),
    # Values that schemas leave open.
    ("PodDisruptionBudget shop/cpu", "spec minAvailable", 1, "spec"),
    ("PodDisruptionBudget shop/cpu", "spec maxUnavailable", "half"),
    ("PodDisruptionBudget shop/cpu", "spec maxUnavailable", -1),
    ("NetworkPolicy shop/serve", "spec policyTypes", ["Ingres"], "spec.policyTypes"),
    ("NetworkPolicy shop/serve", "spec policyTypes", ["Ingress"], "spec.policyTypes"),
    ("NetworkPolicy shop/serve", "spec ingress 0 ports 0 port", -1),
    ("NetworkPolicy shop/serve", "spec ingress 0 ports 0 protocol", "HTTP"),
    ("NetworkPolicy shop/serve", "spec egress 0 to 0 ipBlock cidr", "10.0.0.0"),
    ("NetworkPolicy shop/serve", "spec egress 0 to 0 podSelector", {}, "spec.egress[0].to[0]"),
    ("Service shop/grpc", "spec ports 0 port", 0),
    ("Service shop/grpc", "spec type", "Loadbalancer"),
    ("PriorityClass shop-first", "value", 2_000_000_000),
    ("PersistentVolumeClaim shop/models", "spec accessModes 0", "ReadWrite"),
    ("CronJob shop/nightly", "spec schedule", "3 o'clock"),
    ("CronJob shop/nightly", "spec schedule", "0 3 * *"),
    ("CronJob shop/nightly", "spec concurrencyPolicy", "Never"),
    ("Namespace shop", "metadata labels pod-security.kubernetes.io/enforce", "strict"),
    # Pods, in Kubernetes's kinds and in KubeRay's.
    ("Deployment shop/redis", "spec template spec containers 0 imagePullPolicy", "Sometimes"),
    (RAY, f"{CPU_POD} containers 0 imagePullPolicy", "Sometimes"),
    (RAY, f"{CPU_POD} containers 0 image", REMOVED),
    (RAY, f"{CPU_POD} containers 0 ports 0 containerPort", -8000),
    (RAY, f"{CPU_POD} containers 0 ports 0 name", "a-much-too-long-name"),
    (RAY, f"{CPU_POD} containers 0 ports 0 protocol", "HTTP"),
    (RAY, f"{CPU_POD} containers 0 readinessProbe exec", {"command": ["x"]}, "readinessProbe"),
    (RAY, f"{CPU_POD} containers 0 readinessProbe periodSeconds", 0),
    (RAY, f"{CPU_POD} containers 0 livenessProbe successThreshold", 2),
    (RAY, f"{CPU_POD} containers 0 readinessProbe httpGet port", "http"),
    (RAY, f"{CPU_POD} containers 0 readinessProbe httpGet scheme", "http"),
    (RAY, f"{CPU_POD} containers 0 lifecycle preStop", {}),
    (RAY, f"{CPU_POD} containers 0 env 0 value", "x", "containers[0].env[0]"),
    (RAY, f"{CPU_POD} containers 0 env 0 name", "NO=NAME"),
    (RAY, f"{CPU_POD} containers 0 volumeMounts 0 name", "shmm"),
    (RAY, f"{CPU_POD} containers 0 volumeMounts 1 name", "shm", "volumes: nothing mounts models"),
    (RAY, f"{CPU_POD} containers 0 name", "log", "template.spec: container name log"),
    (RAY, f"{CPU_POD} containers 0 resources requests memory", "3Gi"),
    (RAY, f"{CPU_POD} containers 0 resources requests memory", "-1Gi"),
    (
        RAY,
        f"{CPU_POD} containers 0 resources requests nvidia.com/gpu",
        2,
        "requests.nvidia.com/gpu",
    ),
    (RAY, f"{CPU_POD} tolerations 0 effect", "NoShedule"),
    (RAY, f"{CPU_POD} tolerations 0 operator", "Exists", "tolerations[0]"),
    (RAY, f"{CPU_POD} topologySpreadConstraints 0 whenUnsatisfiable", "Schedule"),
    (RAY, f"{CPU_POD} topologySpreadConstraints 0 maxSkew", 0),
    (
        RAY,
        f"{CPU_POD} affinity nodeAffinity requiredDuringSchedulingIgnoredDuringExecution"
        " nodeSelectorTerms 0 matchExpressions 0 operator",
        "Is",
    ),
    (RAY, f"{CPU_POD} volumes 0 secret", {"secretName": "redis"}, f"{CPU_POD} volumes 0"),
    (RAY, f"{CPU_POD} terminationGracePeriodSeconds", -1),
    (RAY, f"{HEAD_POD} securityContext seccompProfile type", "Default"),
    (RAY, f"{HEAD_POD} containers 0 name", "autoscaler"),
    (RAY, f"{HEAD} template metadata labels ray.io/cluster", "x", "labels.ray.io/cluster"),
    (
        RAY,
        f"{CPU_POD} initContainers 0 ports",
        [{"containerPort": 8000}],
        "template.spec: port 8000/TCP is given twice",
    ),
    (
        RAY,
        f"{CPU_POD} initContainers 0 ports",
        [{"containerPort": 1, "name": "serve"}],
        "template.spec: port name serve is given twice",
    ),
    (
        RAY,
        f"{CPU_POD} containers 0 lifecycle preStop",
        {"httpGet": {"port": "drain", "path": "/"}},
        "lifecycle.preStop.httpGet.port",
    ),
    (
        RAY,
        f"{CPU_POD} initContainers 0 resources requests nvidia.com/gpu",
        1,
        "initContainers[0].resources.limits.nvidia.com/gpu",
    ),
    # What the namespace's level refuses.
    (RAY, f"{CPU_POD} hostNetwork", True),
    (
        RAY,
        f"{CPU_POD} volumes 0",
        {"name": "shm", "hostPath": {"path": "/"}},
        "volumes[0].hostPath",
    ),
    (RAY, f"{CPU_POD} containers 0 securityContext privileged", True),
    (RAY, f"{CPU_POD} containers 0 securityContext capabilities add", ["SYS_ADMIN"]),
    (RAY, f"{CPU_POD} containers 0 securityContext seccompProfile type", "Unconfined"),
    (RAY, f"{CPU_POD} containers 0 ports 0 hostPort", 8000),
    (RAY, f"{CLUSTER} autoscalerOptions securityContext privileged", True),
    # What KubeRay's operator refuses.
    (RAY, "metadata name", "s" * 48, f"RayService shop/{'s' * 48}: metadata.name"),
    (RAY, "metadata name", "1shop", "RayService shop/1shop: metadata.name"),
    (RAY, "metadata annotations ray.io/initializing-timeout", "soon", "initializing-timeout"),
    (RAY, "metadata annotations ray.io/initializing-timeout", "0s", "initializing-timeout"),
    (RAY, "metadata annotations ray.io/ft-enabled", "true", f"{CLUSTER} gcsFaultToleranceOptions"),
    (RAY, "spec upgradeStrategy type", "Recreate"),
    (RAY, "spec upgradeStrategy clusterUpgradeOptions", REMOVED),
    (RAY, "spec upgradeStrategy clusterUpgradeOptions stepSizePercent", 60),
    (RAY, "spec upgradeStrategy clusterUpgradeOptions maxSurgePercent", 101),
    (RAY, "spec upgradeStrategy clusterUpgradeOptions intervalSeconds", 0),
    (RAY, f"{CLUSTER} enableInTreeAutoscaling", False),
    (RAY, f"{CLUSTER} autoscalerOptions version", "v1", f"{CPU} idleTimeoutSeconds"),
    (RAY, f"{CLUSTER} rayVersion", "2.51.0"),
    (RAY, f"{CLUSTER} rayVersion", REMOVED),
    (RAY, f"{CLUSTER} authOptions enableK8sTokenAuth", True),
    (RAY, f"{CLUSTER} networkPolicy", {"mode": "DenyAll"}),
    (RAY, f"{CLUSTER} tlsOptions", {"enabled": True}),
    (RAY, f"{CLUSTER} gcsFaultToleranceOptions storage", {"size": "1Gi"}),
    (
        RAY,
        f"{CLUSTER} gcsFaultToleranceOptions backend",
        "rocksdb",
        f"{CLUSTER} gcsFaultToleranceOptions redisAddress",
    ),
    (RAY, f"{CLUSTER} gcsFaultToleranceOptions redisAddress", REMOVED),
    (RAY, f"{HEAD} headService", {"metadata": {"name": "x"}}),
    (RAY, f"{HEAD} rayStartParams redis-password", "x"),
    (RAY, f"{HEAD} rayStartParams labels", "a=b"),
    (RAY, f"{HEAD} resources", {"CPU": "1"}),
    (RAY, f"{HEAD_POD} containers 0 ports 0 name", "http", f"{HEAD_POD} containers 0 ports"),
    (RAY, f"{HEAD_POD} containers 0 env 0 name", "REDIS_PASSWORD", HEAD),
    (RAY, f"{HEAD_POD} containers 0 env 0 name", "RAY_REDIS_ADDRESS", HEAD),
    (RAY, f"{HEAD_POD} containers 0 env 0 name", "REDIS_USERNAME", HEAD),
    (
        RAY,
        f"{HEAD_POD} containers 0 env 0 name",
        "RAY_enable_autoscaler_v2",
        f"{CLUSTER} autoscalerOptions version",
    ),
    (RAY, f"{HEAD_POD} restartPolicy", "Always"),
    (RAY, f"{HEAD_POD} containers", [], f"{HEAD_POD} containers"),
    (RAY, f"{CPU_POD} restartPolicy", "OnFailure"),
    (RAY, f"{CPU} minReplicas", 5),
    (RAY, f"{CPU} minReplicas", -1),
    (RAY, f"{CPU} replicas", 5),
    (RAY, f"{CPU} suspend", True),
    (RAY, f"{CPU} groupName", "CPU"),
    (RAY, "spec upgradeStrategy clusterUpgradeOptions gatewayClassName", ""),
    (RAY, f"{CLUSTER} autoscalerOptions idleTimeoutSeconds", -1),
    (
        RAY,
        f"metadata annotations {EXTERNAL_STORAGE}",
        "x",
        f"metadata.annotations.{EXTERNAL_STORAGE}",
    ),
    # Serve's config and the application's arguments.
    (RAY, "spec serveConfigV2", "applications: [}"),
    (RAY, "spec serveConfigV2", "applications: []\napplications: []\n"),
    (RAY, "spec serveConfigV2", "aplications: []", "spec.serveConfigV2: aplications"),
    # Texts within objects.
    ("ConfigMap shop/board", "data board.json", "{"),
    ("ConfigMap shop/board", "data rules.yaml", "a: 1\na: 2\n"),
    ("SecretProviderClass shop/vault", "spec parameters objects", "array: 1"),
    (
        "SecretProviderClass shop/vault",
        "spec parameters objects",
        "array: ['{objectName: redis-password, objectTyp: secret}']",
    ),
    (
        "SecretProviderClass shop/vault",
        "spec secretObjects 0 data 0 objectName",
        "passwort",
        "spec.secretObjects[0].data",
    ),
]
REFERENCES: list[tuple[Any, ...]] = [
    (
        "ConfigMap shop/board",
        "metadata namespace",
        "store",
        "ConfigMap store/board: metadata.namespace",
    ),
    (
        RAY,
        f"{HEAD_POD} volumes 0",
        {"name": "vault", "secret": {"secretName": "redis", "items": [{"key": "x", "path": "x"}]}},
        f"{HEAD_POD} volumes 0 secret items",
    ),
    (
        RAY,
        f"{HEAD_POD} volumes 0",
        {"name": "vault", "projected": {"sources": [{"configMap": {"name": "boards"}}]}},
        f"{HEAD_POD} volumes 0 projected sources 0 configMap",
    ),
    (
        "PodDisruptionBudget shop/cpu",
        "spec selector matchLabels app.kubernetes.io/component",
        "cpus",
        "spec.selector",
    ),
    (
        "NetworkPolicy shop/serve",
        "spec podSelector matchLabels ray.io/node-type",
        "workers",
        "spec.podSelector",
    ),
    (
        "NetworkPolicy shop/serve",
        "spec podSelector matchLabels ray.io/cluster",
        "shop",
        "spec.podSelector",
    ),
    (
        "NetworkPolicy shop/serve",
        "spec ingress 0 from 1 podSelector matchExpressions 0 values",
        ["x"],
        "spec.ingress[0].from[1].podSelector",
    ),
    ("NetworkPolicy shop/serve", "spec ingress 0 ports 0 port", "http"),
    ("Service shop/grpc", "spec selector ray.io/node-type", "Worker", "spec.selector"),
    ("Service shop/grpc", "spec ports 0 targetPort", "grpc"),
    (
        "PodMonitor shop/ray",
        "spec selector matchLabels app.kubernetes.io/name",
        "kuberay",
        "spec.selector",
    ),
    ("PodMonitor shop/ray", "spec podMetricsEndpoints 0 port", "metric"),
    ("PodMonitor shop/ray", "spec namespaceSelector matchNames", ["other"], "spec.selector"),
    ("ServiceMonitor shop/grpc", "spec selector matchLabels app", "x", "spec.selector"),
    ("ServiceMonitor shop/grpc", "spec endpoints 0 port", "metrics"),
    ("Deployment shop/redis", "spec selector matchLabels app", "redi", "spec.selector"),
    ("RoleBinding shop/reader", "roleRef name", "writer"),
    ("RoleBinding shop/reader", "subjects 0 name", "rays"),
    (RAY, f"{HEAD_POD} serviceAccountName", "rays"),
    (RAY, f"{HEAD_POD} priorityClassName", "shop-second"),
    (RAY, f"{HEAD_POD} imagePullSecrets", [{"name": "pull"}]),
    (RAY, f"{HEAD_POD} volumes 0 csi volumeAttributes secretProviderClass", "vaults"),
    (
        RAY,
        f"{HEAD_POD} containers 0 env 0 valueFrom secretKeyRef name",
        "rediss",
        f"{HEAD_POD} containers 0 env 0 valueFrom secretKeyRef",
    ),
    (
        RAY,
        f"{HEAD_POD} containers 0 env 0 valueFrom secretKeyRef key",
        "passwort",
        f"{HEAD_POD} containers 0 env 0 valueFrom secretKeyRef",
    ),
    (
        RAY,
        f"{CPU_POD} containers 0 envFrom 0 configMapRef name",
        "boards",
        f"{CPU_POD} containers 0 envFrom 0 configMapRef",
    ),
    (
        RAY,
        f"{CPU_POD} containers 0 env 0 valueFrom configMapKeyRef key",
        "color",
        f"{CPU_POD} containers 0 env 0 valueFrom configMapKeyRef",
    ),
    (
        RAY,
        f"{CPU_POD} volumes 1 persistentVolumeClaim claimName",
        "model",
        f"{CPU_POD} volumes 1 persistentVolumeClaim",
    ),
    (
        RAY,
        f"{CPU_POD} topologySpreadConstraints 0 labelSelector matchLabels"
        " app.kubernetes.io/component",
        "gpu",
        f"{CPU_POD} topologySpreadConstraints 0 labelSelector",
    ),
    (RAY, f"{CPU_POD} topologySpreadConstraints 0 matchLabelKeys", ["ray.io/clusters"]),
    (
        RAY,
        f"{CPU_POD} affinity podAntiAffinity preferredDuringSchedulingIgnoredDuringExecution 0"
        " podAffinityTerm labelSelector matchLabels app.kubernetes.io/component",
        "gpu",
        f"{CPU_POD} affinity podAntiAffinity",
    ),
    (
        RAY,
        f"{CLUSTER} gcsFaultToleranceOptions redisPassword valueFrom secretKeyRef name",
        "x",
        f"{CLUSTER} gcsFaultToleranceOptions redisPassword valueFrom secretKeyRef",
    ),
    (RAY, f"{CLUSTER} authOptions secretName", "token"),
    (
        RAY,
        f"{CLUSTER} autoscalerOptions volumeMounts",
        [{"name": "tmp", "mountPath": "/tmp"}],
        f"{CLUSTER} autoscalerOptions volumeMounts 0 name",
    ),
    (RAY, "spec upgradeStrategy clusterUpgradeOptions gatewayClassName", "other"),
    (GATEWAY, "spec gatewayClassName", "other"),
    (GATEWAY, "spec listeners 1 tls certificateRefs 0 name", "shop-cert"),
    (GATEWAY, "spec listeners 1 hostname", "shop.example.org"),
    (ROUTE, "spec parentRefs 0 name", "shops"),
    (ROUTE, "spec parentRefs 0 sectionName", "tls", "spec.parentRefs[0]"),
    (ROUTE, "spec parentRefs 0 namespace", "other", "spec.parentRefs[0]"),
    (ROUTE, "spec hostnames 0", "shop.example.org"),
    (ROUTE, "spec rules 0 backendRefs 0 name", "shop-serve"),
    (ROUTE, "spec rules 0 backendRefs 0 port", 8001),
    ("GRPCRoute shop/shop", "spec rules 0 backendRefs 0 port", 8000),
    (CERTIFICATE, "spec issuerRef name", "acmee"),
    (CERTIFICATE, "spec issuerRef kind", "ClusterIssuer", "spec.issuerRef.name"),
    (CERTIFICATE, "spec secretName", "shop-tls2", "Gateway shop/shop: spec.listeners[1]"),
    ("Issuer shop/acme", "spec acme solvers 0 http01 gatewayHTTPRoute parentRefs 0 name", "shops"),
]


def tokens(text: str) -> tuple[str | int, ...]:
    return tuple(int(part) if part.isdigit() else part for part in text.split(" "))


def title(item: dict[str, Any]) -> str:
    metadata = item["metadata"]
    names = [metadata[key] for key in ("namespace", "name") if key in metadata]
    return f"{item['kind']} {'/'.join(names)}"


def test_the_examples_are_right() -> None:
    assert problems(examples()) == []


def test_there_is_an_example_of_every_kind_with_a_schema_of_ours() -> None:
    from tests.kuberay.validation.schemas import own_kinds

    shown = {item["kind"] for item in examples()}
    assert {kind for _, kind in own_kinds()} <= shown | {"Kustomization", "Component"}


@pytest.mark.parametrize(
    "planted", SCHEMA + MEANING + REFERENCES, ids=lambda entry: f"{entry[0]} {entry[1]}"
)
def test_a_planted_error_is_found(planted: tuple[Any, ...]) -> None:
    name, where, value, *rest = planted
    objects = examples()
    index = next(number for number, item in enumerate(objects) if title(item) == name)
    objects[index] = changed(objects[index], tokens(where), value)
    expected = place(tokens(where))
    if rest:
        expected = place(tokens(rest[0])) if rest[0].startswith("spec ") else rest[0]
    found = problems(objects)
    others = expected.startswith(tuple(item["kind"] for item in objects))
    owner = "" if others else f"{title(objects[index])}: "
    assert any(text.startswith(owner) and expected in text for text in found), found


@pytest.mark.parametrize("item", examples(), ids=title)
def test_every_field_is_missed_when_it_is_misspelled(item: dict[str, Any]) -> None:
    kind = kind_of(item)
    assert kind is not None
    passed = []
    for right, wrong in misspelled(item):
        found = kind.problems(renamed(item, right, str(wrong[-1])), None)
        if not any(problem.startswith(f"{place(wrong)}: unknown") for problem in found):
            passed.append(place(right))
    assert passed == []


@pytest.mark.parametrize("item", examples(), ids=title)
def test_every_value_is_refused_with_a_wrong_type(item: dict[str, Any]) -> None:
    kind = kind_of(item)
    assert kind is not None
    passed = []
    for where in scalars(item):
        found = kind.problems(changed(item, where, {"x": [1]}), None)
        if len(where) > 1 and not any(problem.startswith(place(where)) for problem in found):
            passed.append(place(where))
    assert passed == []


@settings(deadline=None)
@given(st.data())
def test_an_unknown_key_anywhere_is_found(data: st.DataObject) -> None:
    item = data.draw(st.sampled_from(examples()), label="object")
    where = data.draw(st.sampled_from([*mappings(item)]), label="place")
    key = data.draw(st.from_regex(r"[a-z][a-zA-Z0-9]{5,11}Zz", fullmatch=True), label="key")
    value = data.draw(st.sampled_from([1, "x", True, {}, [], {"a": 1}]), label="value")
    kind = kind_of(item)
    assert kind is not None
    found = kind.problems(changed(item, (*where, key), value), None)
    assert any(problem.startswith(f"{place((*where, key))}: unknown field") for problem in found)


def test_an_object_that_is_given_twice_is_found() -> None:
    objects = examples()
    assert problems([*objects, objects[3]]) == ["ConfigMap shop board: is given 2 times"]


def test_versions_of_one_kind_are_one_object() -> None:
    budget = next(item for item in examples() if item["kind"] == "ReferenceGrant")
    other = changed(budget, ("apiVersion",), "gateway.networking.k8s.io/v1")
    found = problems([*examples(), other])
    assert found == ["gateway.networking.k8s.io ReferenceGrant shop shop: is given 2 times"]


@pytest.mark.parametrize("wrong", ["text", {}, {"kind": "ConfigMap"}, {"apiVersion": "v1"}, None])
def test_what_is_no_object_is_found(wrong: Any) -> None:
    (found,) = problems([*examples(), wrong])
    assert found.startswith(f"object {len(examples())}: ")


def test_two_disruption_budgets_for_one_pod_are_found() -> None:
    budget = next(item for item in examples() if item["kind"] == "PodDisruptionBudget")
    second = changed(budget, ("metadata", "name"), "second")
    found = problems([*examples(), second])
    assert "PodDisruptionBudget shop/second: spec.selector: takes pods that cpu takes, too" in found


def test_what_others_make_is_there_when_it_is_named() -> None:
    objects = [item for item in examples() if item["kind"] != "GatewayClass"]
    assert any("there is no GatewayClass shop-class" in problem for problem in problems(objects))
    assert problems(objects, external=frozenset({"GatewayClass/shop-class"})) == []


def ray_service(*changes: tuple[str, Any]) -> list[Any]:
    """The examples with changes of the RayService."""
    objects = examples()
    index = next(n for n, item in enumerate(objects) if item["kind"] == "RayService")
    for where, value in changes:
        objects[index] = changed(objects[index], tokens(where), value)
    return objects


GCS = f"{CLUSTER} gcsFaultToleranceOptions"
ONE_CLUSTER = ("spec upgradeStrategy", REMOVED)
FIXED = [
    ONE_CLUSTER,
    (f"{CLUSTER} enableInTreeAutoscaling", REMOVED),
    (f"{CLUSTER} autoscalerOptions", REMOVED),
    (f"{CPU} idleTimeoutSeconds", REMOVED),
]
EMBEDDED = [(GCS, {"backend": "rocksdb", "storage": {"size": "1Gi"}})]
ENVIRONMENT = f"{HEAD_POD} containers 0 env 0"


@pytest.mark.parametrize("changes", [[ONE_CLUSTER], FIXED, EMBEDDED, [(GCS, REMOVED)]])
def test_other_right_clusters_have_no_problem(changes: list[tuple[str, Any]]) -> None:
    # Without a gateway of KubeRay's nothing else changes.
    assert problems(ray_service(*changes)) == []


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        (
            [*FIXED, (ENVIRONMENT, {"name": "RAY_enable_autoscaler_v2", "value": "1"})],
            "RAY_enable_autoscaler_v2 without enableInTreeAutoscaling",
        ),
        ([*FIXED, (f"{CPU} priority", 1)], "workerGroupSpecs[0].priority: autoscaler v2 alone"),
        ([*FIXED, (f"{CLUSTER} autoscalerOptions", {"image": "x"})], "nothing reads it without"),
        (
            [(GCS, REMOVED), (ENVIRONMENT, {"name": "RAY_REDIS_ADDRESS", "value": "x"})],
            "RAY_REDIS_ADDRESS without gcsFaultToleranceOptions",
        ),
        ([*EMBEDDED, (f"{GCS} storage claimName", "models")], "storage.claimName: excludes size"),
        ([*EMBEDDED, (f"{ENVIRONMENT} name", "RAY_gcs_storage")], "KubeRay sets RAY_gcs_storage"),
        (
            [*EMBEDDED, (f"{HEAD_POD} containers 0 volumeMounts 0 mountPath", "/data/gcs")],
            "KubeRay mounts /data/gcs itself",
        ),
        (
            [(f"{CLUSTER} workerGroupSpecs 1", {"groupName": "cpu", "template": {"spec": {
                "containers": [{"name": "a", "image": "a"}]}}})],
            "workerGroupSpecs: the group cpu is given twice",
        ),
    ],
)  # fmt: skip
def test_what_the_operator_refuses_together_is_found(
    changes: list[tuple[str, Any]], found: str
) -> None:
    said = problems(ray_service(*changes))
    assert any(text.startswith(f"{RAY}: ") and found in text for text in said), said


def test_the_restricted_level_refuses_what_is_not_said() -> None:
    """Kubernetes wants these said, for every container, also for the one that KubeRay adds."""
    objects = ray_service()
    where = ("metadata", "labels", "pod-security.kubernetes.io/enforce")
    found = problems([changed(objects[0], where, "restricted"), *objects[1:]])
    for path in (
        f"{CLUSTER} autoscalerOptions",
        f"{CPU_POD} initContainers 0",
        f"{CPU_POD} containers 0",
    ):
        for field in (
            "allowPrivilegeEscalation",
            "capabilities.drop",
            "runAsNonRoot",
            "seccompProfile.type",
        ):
            text = f"{RAY}: {place(tokens(path))}.securityContext.{field}: must"
            # The head's pod says the last two for its containers.
            said = "autoscaler" in path and field in ("runAsNonRoot", "seccompProfile.type")
            assert any(problem.startswith(text) for problem in found) != said, text


@pytest.mark.parametrize(
    ("context", "found"),
    [
        ({}, None),
        ({"runAsUser": 0}, "runAsUser: 0 is refused"),
        ({"capabilities": {"drop": ["ALL"], "add": ["CHOWN"]}}, "capabilities.add: CHOWN"),
        ({"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}, None),
    ],
)
def test_the_restricted_level_of_one_pod(context: dict[str, Any], found: str | None) -> None:
    right = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    spec = {"containers": [{"name": "a", "image": "a", "securityContext": {**right, **context}}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec}
    said = list(security_problems(pod, "restricted"))
    assert len(said) == (found is not None)
    assert all(found is not None and found in text for text in said)


def test_a_route_of_another_namespace_needs_a_listener_that_takes_it() -> None:
    objects = examples()
    other = changed(objects[0], ("metadata", "name"), "other")
    index = next(n for n, item in enumerate(objects) if title(item) == "HTTPRoute shop/redirect")
    route = changed(objects[index], ("metadata", "namespace"), "other")
    objects[index] = changed(route, ("spec", "parentRefs", 0, "namespace"), "shop")
    assert problems([*objects, other]) == [
        "HTTPRoute other/redirect: spec.parentRefs[0].namespace: "
        "the listeners take routes of their own namespace alone"
    ]


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        ("a.example", "a.example", True),
        ("a.example", "b.example", False),
        ("*.example", "a.example", True),
        ("*.example", "a.b.example", True),
        ("*.example", "example", False),
        ("*.example", "aexample", False),
        ("*.example", "*.b.example", True),
        ("*.example", "*.other", False),
    ],
)
def test_host_names_have_a_name_in_common(one: str, other: str, common: bool) -> None:
    assert intersect(one, other) == common
    assert intersect(other, one) == common


def test_an_optional_source_may_be_absent() -> None:
    name = (
        "spec rayClusterConfig workerGroupSpecs 0 template spec containers 0 envFrom 0 configMapRef"
    )
    index = next(n for n, item in enumerate(examples()) if item["kind"] == "RayService")
    objects = examples()
    objects[index] = changed(objects[index], tokens(name), {"name": "absent", "optional": True})
    assert problems(objects) == []


def test_a_change_of_what_may_not_change_is_found() -> None:
    before, after = examples(), examples()
    index = next(n for n, item in enumerate(before) if item["kind"] == "RayService")
    where = ("spec", "rayClusterConfig", "gcsFaultToleranceOptions")
    after[index] = changed(after[index], where, {"backend": "rocksdb"})
    assert problems(after) == []
    assert problems(after, before=before) == [
        "RayService shop/shop: spec.rayClusterConfig.gcsFaultToleranceOptions.backend: "
        "gcsFaultToleranceOptions.backend is immutable"
    ]
