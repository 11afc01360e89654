"""What Prometheus and Azure's agents are told."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from kuberay.manifests.files import ROOT
from tests.kuberay.manifests.rendering import containers, kustomized, of, templates

Object = dict[str, Any]
MONITORING = ROOT / "monitoring"
MONITORS = {"operator": MONITORING / "monitors.yaml", "azure": MONITORING / "azure/monitors.yaml"}
every_kind = pytest.mark.parametrize("kind", MONITORS)


def monitors(kind: str) -> dict[str, Object]:
    text = MONITORS[kind].read_text(encoding="utf-8")
    return {item["kind"]: item for item in yaml.safe_load_all(text)}


def jobs(kind: str) -> list[str]:
    """Targets of the jobs for the application."""
    if kind == "operator":
        found: list[str] = monitors(kind)["ScrapeConfig"]["spec"]["staticConfigs"][0]["targets"]
        return found
    text = monitors(kind)["ConfigMap"]["data"]["prometheus-config"]
    (job,) = yaml.safe_load(text)["scrape_configs"]
    assert job["metrics_path"] == "/metrics"
    return [target for config in job["static_configs"] for target in config["targets"]]


@every_kind
def test_rays_metrics_are_read_from_every_pod(kind: str) -> None:
    spec = monitors(kind)["PodMonitor"]["spec"]
    (endpoint,) = spec["podMetricsEndpoints"]
    for template in templates("production"):
        labels = template["metadata"]["labels"]
        assert labels.items() >= spec["selector"]["matchLabels"].items()
        ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
        assert endpoint["port"] in ports


@every_kind
def test_the_applications_metrics_are_read_once_from_the_service(kind: str) -> None:
    port = of("base").application.settings.http.port
    assert jobs(kind) == [f"scoring-serve-svc.scoring.svc:{port}"]


def test_each_has_the_kind_of_its_own_operator() -> None:
    groups = {kind: monitors(kind)["PodMonitor"]["apiVersion"] for kind in MONITORS}
    assert groups == {
        "operator": "monitoring.coreos.com/v1",
        "azure": "azmonitoring.coreos.com/v1",
    }


def test_the_alerts_are_those_that_are_tested() -> None:
    rules = yaml.safe_load((MONITORING / "alerts.yaml").read_text(encoding="utf-8"))
    assert monitors("operator")["PrometheusRule"]["spec"] == rules


def test_dashboard_and_alerts_are_config_maps(tmp_path: Path) -> None:
    (tmp_path / "kustomization.yaml").write_text(
        yaml.safe_dump({"components": ["monitoring"]}), encoding="utf-8"
    )
    (tmp_path / "monitoring").symlink_to(MONITORING)
    maps = {item["metadata"]["name"]: item for item in kustomized(tmp_path)}
    dashboard = maps["scoring-dashboard"]
    assert dashboard["metadata"]["labels"] == {"grafana_dashboard": "1"}
    assert dashboard["data"]["dashboard.json"] == (MONITORING / "dashboard.json").read_text()
    assert maps["scoring-alerts"]["data"]["alerts.yaml"] == (MONITORING / "alerts.yaml").read_text()


def test_azure_gathers_the_output_of_the_pods_and_no_environment() -> None:
    text = (MONITORING / "azure/agents.yaml").read_text(encoding="utf-8")
    maps = {item["metadata"]["name"]: item["data"] for item in yaml.safe_load_all(text)}
    logs = maps["container-azm-ms-agentconfig"]["log-data-collection-settings"]
    sections = {part.split("]")[0]: part for part in logs.split("[log_collection_settings.")}
    assert "enabled = true" in sections["stdout"]
    assert '"scoring"' not in sections["stdout"]
    assert "enabled = false" in sections["env_var"]
    assert "request-log" in {container["name"] for container in containers("production")}
