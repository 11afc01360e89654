"""What Prometheus reads: Ray's metrics from every pod, the application's from the service, once.

For the Prometheus operator and for Azure Monitor's agent, which knows its own kind of PodMonitor
and takes further jobs from a config map.
"""

from pathlib import Path

import yaml

from kuberay.manifests.cluster import ClusterSettings
from kuberay.manifests.gateway import SERVE_SERVICE
from kuberay.manifests.objects import NAME, PODS, Object, made
from serve_app.settings import Settings

INTERVAL = "30s"
AZURE_NAMESPACE = "kube-system"
"""Where Azure's agents look for their settings."""


def for_operator(settings: Settings, cluster: ClusterSettings, alerts: Path) -> list[Object]:
    """PodMonitor, ScrapeConfig and PrometheusRule of monitoring.coreos.com."""
    scrape = made(
        "monitoring.coreos.com/v1alpha1", "ScrapeConfig", f"{NAME}-application", cluster.namespace
    )
    scrape["spec"] = {
        "jobName": NAME,
        "scrapeInterval": INTERVAL,
        "metricsPath": "/metrics",
        "staticConfigs": [{"targets": [_target(settings, cluster)]}],
    }
    rule = made("monitoring.coreos.com/v1", "PrometheusRule", NAME, cluster.namespace)
    rule["spec"] = yaml.safe_load(alerts.read_text(encoding="utf-8"))
    return [_pod_monitor("monitoring.coreos.com/v1", cluster), scrape, rule]


def for_azure(settings: Settings, cluster: ClusterSettings) -> list[Object]:
    """PodMonitor of azmonitoring.coreos.com, and the agent's job for the application.

    Its rules are Azure's to evaluate, outside the cluster.
    """
    job = {
        "job_name": NAME,
        "scrape_interval": INTERVAL,
        "metrics_path": "/metrics",
        "static_configs": [{"targets": [_target(settings, cluster)]}],
    }
    jobs = made("v1", "ConfigMap", "ama-metrics-prometheus-config", AZURE_NAMESPACE)
    jobs["data"] = {"prometheus-config": yaml.safe_dump({"scrape_configs": [job]}, sort_keys=False)}
    return [_pod_monitor("azmonitoring.coreos.com/v1", cluster), jobs]


def _pod_monitor(api_version: str, cluster: ClusterSettings) -> Object:
    monitor = made(api_version, "PodMonitor", f"{NAME}-ray", cluster.namespace)
    monitor["spec"] = {
        "selector": {"matchLabels": PODS},
        "podMetricsEndpoints": [
            {
                "port": "metrics",
                "interval": INTERVAL,
                "relabelings": [
                    {
                        "sourceLabels": [f"__meta_kubernetes_pod_label_{source}"],
                        "targetLabel": target,
                    }
                    for source, target in (
                        ("ray_io_cluster", "ray_cluster"),
                        ("app_kubernetes_io_component", "component"),
                    )
                ],
            }
        ],
    }
    return monitor


def _target(settings: Settings, cluster: ClusterSettings) -> str:
    return f"{SERVE_SERVICE}.{cluster.namespace}.svc:{settings.http.port}"
