"""Alerts and dashboard against Prometheus's own tool, and against what the application exposes."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.contracts import EngineStatus
from deployments.telemetry import Metrics, exposition

FOLDER = Path(__file__).parents[2] / "kuberay" / "monitoring"
ALERTS, DASHBOARD = FOLDER / "alerts.yaml", FOLDER / "dashboard.json"
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"

SAMPLES = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "gauge": ("",),
}
# Grafana replaces these before it asks Prometheus.
VARIABLES = {"$__rate_interval": "5m", "$model": "faq|image"}


def promtool(*arguments: str, text: str | None = None) -> None:
    """Runs the tool; skips where there is none (Debian's package `prometheus` has it)."""
    path = shutil.which("promtool")
    if path is None:
        pytest.skip("promtool is not installed")
    ended = subprocess.run(
        [path, *arguments], input=text, capture_output=True, text=True, check=False, cwd=FOLDER
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def dashboard_expressions() -> Iterator[str]:
    for panel in panels():
        for target in panel["targets"]:
            expression: str = target["expr"]
            for variable, value in VARIABLES.items():
                expression = expression.replace(variable, value)
            yield expression


def used() -> Iterator[str]:
    """Every metric of the application that an alert or a panel asks for."""
    for expression in [rule["expr"] for rule in rules()] + list(dashboard_expressions()):
        yield from re.findall(r"\bscoring_[a-z_]+", expression)


def busy_metrics() -> Metrics:
    """A replica that has counted something of everything."""
    metrics = Metrics()
    metrics.observe_request("/v1/faq/rank", 200, 0.1)
    metrics.observe_refusal("overloaded", "k1")
    metrics.watch_readiness("faq", lambda: True)
    metrics.set_ready_replicas("faq", 2)
    metrics.serve_version("faq", "3", 1e9)
    metrics.serve_engine("image", EngineStatus("cpu", "float32", "fused", 1, (1,)))
    metrics.observe_decode("image", 0.1)
    metrics.refuse_item("image", "failed")
    model = metrics.model("faq")
    model.observe_batch(3, 0.1, 0.1)
    model.largest.set(64)
    model.answers.observe("3", 3)
    return metrics


def test_every_metric_that_is_asked_for_is_exposed() -> None:
    exposed = {
        metric.name + suffix
        for metric in busy_metrics().registry.collect()
        for suffix in SAMPLES[metric.type]
    }
    assert set(used()) - exposed == set()


def test_every_metric_is_shown_on_the_dashboard() -> None:
    shown = " ".join(dashboard_expressions())
    missing = [item.name for item in busy_metrics().registry.collect() if item.name not in shown]
    assert missing == []


def test_the_rules_are_valid() -> None:
    promtool("check", "rules", "--lint-fatal", ALERTS.name)


def test_the_alerts_fire_when_they_should_and_only_then() -> None:
    promtool("test", "rules", "alerts_test.yaml")


def test_every_alert_has_a_test() -> None:
    tests = yaml.safe_load((FOLDER / "alerts_test.yaml").read_text(encoding="utf-8"))["tests"]
    fired = {
        check["alertname"]
        for test in tests
        for check in test["alert_rule_test"]
        if check.get("exp_alerts")
    }
    assert fired == {rule["alert"] for rule in rules() if "alert" in rule}


def test_every_alert_is_explained() -> None:
    text = OPERATIONS.read_text(encoding="utf-8")
    alerts = [rule["alert"] for rule in rules() if "alert" in rule]
    assert [name for name in alerts if f"| `{name}` |" not in text] == []


def test_every_metric_is_explained() -> None:
    text = OPERATIONS.read_text(encoding="utf-8")
    missing = [item.name for item in busy_metrics().registry.collect() if item.name not in text]
    assert missing == []


def test_what_the_dashboard_asks_parses(tmp_path: Path) -> None:
    asked = [
        {"record": f"dashboard:expression:{number}", "expr": expression}
        for number, expression in enumerate(dashboard_expressions())
    ]
    file = tmp_path / "dashboard.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": asked}]}))
    assert len(asked) > 20
    promtool("check", "rules", str(file))


def test_panels_do_not_overlap_and_ask_the_chosen_source() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (place["x"] + column, place["y"] + line)
            for column in range(place["w"])
            for line in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["description"]


def test_a_scrape_is_what_prometheus_likes() -> None:
    text = exposition([busy_metrics().report("Router", "one")]).decode()
    promtool("check", "metrics", text=text)
