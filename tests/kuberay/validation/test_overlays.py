"""What `kubectl apply -k` would send, for each overlay: nobody refuses any of it."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kuberay.validation.keywords import place
from tests.kuberay.validation.kustomization import effect_problems, file_problems, folders
from tests.kuberay.validation.operator_rules import FEATURE_GATES, needed_gates
from tests.kuberay.validation.planting import (
    changed,
    mappings,
    misspelled,
    one_of_each,
    renamed,
    scalars,
)
from tests.kuberay.validation.problems import problems
from tests.kuberay.validation.rendering import KUBERAY, OVERLAYS, overlay, overlays
from tests.kuberay.validation.schemas import kind_of

EXTERNAL = frozenset(
    {
        # On a laptop the keys come from a file: `kubectl create secret generic scoring-keys ...`.
        "Secret/scoring/scoring-keys",
        # Of the application-routing add-on, and of an Istio of one's own inside the cluster.
        "GatewayClass/approuting-istio",
        "GatewayClass/istio-internal",
    }
)
"""What the overlays name and do not make."""
OPERATORS = {
    "kuberay/operator-values.yaml": {"kind"},
    "kuberay/aks/charts/kuberay-operator.yaml": {"production", "gradual"},
}
"""Values of the operator's chart, and the overlays that are for its installation."""

every_overlay = pytest.mark.parametrize("name", overlays())


def test_there_are_the_overlays_that_are_spoken_of() -> None:
    """And perhaps one's own, which is checked like them."""
    assert {"gradual", "kind", "production"} <= set(overlays())


@every_overlay
def test_nothing_is_wrong_with_an_overlay(name: str) -> None:
    assert problems(overlay(name), external=EXTERNAL) == []


def test_nothing_is_external_that_an_overlay_makes_or_does_without() -> None:
    found = {
        problem.rpartition("there is no ")[2].replace(" ", "/")
        for name in ("gradual", "kind", "production")
        for problem in problems(overlay(name))
    }
    assert found == {f"{entry.split('/')[0]}/{entry.split('/')[-1]}" for entry in EXTERNAL}


@every_overlay
def test_kustomize_has_no_entry_without_effect_and_no_key_twice(name: str) -> None:
    found = [
        f"{folder.relative_to(KUBERAY)}: {problem}"
        for folder in folders(OVERLAYS / name)
        for problem in (*file_problems(folder), *effect_problems(folder, overlay(name)))
    ]
    assert found == []


def test_an_upgrade_to_any_overlay_changes_nothing_that_may_not_change() -> None:
    """Production and gradual are the same cluster; kind is another one."""
    before, after = overlay("production"), overlay("gradual")
    assert problems(after, before=before, external=EXTERNAL) == []


@pytest.mark.parametrize("file", OPERATORS)
def test_the_operator_is_installed_with_the_gates_that_the_overlays_need(file: str) -> None:
    path = KUBERAY.parent / file
    if not path.exists():
        pytest.skip(f"there is no {file}")
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    enabled = {gate["name"] for gate in values["featureGates"] if gate["enabled"]}
    needed = {
        gate for name in OPERATORS[file] for item in overlay(name) for _, gate in needed_gates(item)
    }
    assert needed <= enabled
    assert needed <= FEATURE_GATES


def everything() -> list[dict[str, Any]]:
    """The objects of all overlays."""
    return [item for name in overlays() for item in overlay(name)]


def test_every_field_of_an_overlay_is_missed_when_it_is_misspelled() -> None:
    all_of_them = [(item, *places) for item in everything() for places in misspelled(item)]
    chosen = one_of_each((item["kind"], right) for item, right, _ in all_of_them)
    passed = []
    for item, right, wrong in (all_of_them[number] for number in chosen):
        kind = kind_of(item)
        assert kind is not None
        found = kind.problems(renamed(item, right, str(wrong[-1])), None)
        if not any(text.startswith(f"{place(wrong)}: unknown") for text in found):
            passed.append(f"{item['kind']} {place(right)}")
    assert passed == []


def test_every_value_of_an_overlay_is_refused_with_a_wrong_type() -> None:
    all_of_them = [(item, where) for item in everything() for where in scalars(item)]
    chosen = one_of_each((item["kind"], where) for item, where in all_of_them)
    passed = []
    for item, where in (all_of_them[number] for number in chosen):
        kind = kind_of(item)
        assert kind is not None
        found = kind.problems(changed(item, where, {"x": [1]}), None)
        if len(where) > 1 and not any(text.startswith(place(where)) for text in found):
            passed.append(f"{item['kind']} {place(where)}")
    assert passed == []


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_an_unknown_key_anywhere_in_an_overlay_is_found(data: st.DataObject) -> None:
    item = data.draw(st.sampled_from(everything()), label="object")
    where = data.draw(st.sampled_from([*mappings(item)]), label="place")
    key = data.draw(st.from_regex(r"[a-z][a-zA-Z0-9]{5,11}Zz", fullmatch=True), label="key")
    value = data.draw(st.sampled_from([1, "x", True, {}, [], {"a": 1}]), label="value")
    kind = kind_of(item)
    assert kind is not None
    found = kind.problems(changed(item, (*where, key), value), None)
    assert any(text.startswith(f"{place((*where, key))}: unknown field") for text in found)


def test_the_agents_of_azure_can_read_their_jobs(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    texts = {
        item["data"]["prometheus-config"]
        for item in everything()
        if "prometheus-config" in item.get("data", {})
    }
    assert texts
    file = tmp_path / "prometheus.yaml"
    for text in texts:
        file.write_text(text)
        ended = subprocess.run(
            [promtool, "check", "config", "--lint-fatal", str(file)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr


@every_overlay
def test_dashboards_in_config_maps_are_the_ones_of_the_repository(name: str) -> None:
    board = json.loads((KUBERAY / "monitoring" / "dashboard.json").read_text(encoding="utf-8"))
    for item in overlay(name):
        for key, text in item.get("data", {}).items() if item["kind"] == "ConfigMap" else ():
            if key.endswith(".json"):
                assert json.loads(text) == board
