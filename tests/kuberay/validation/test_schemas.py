"""Which schema an object has, and that the strict ones of Kubernetes are not weakened here."""

from pathlib import Path
from typing import Any

import hcl2
import kubernetes_validate
import pytest

from tests.kuberay.validation.planting import changed, examples, mappings, scalars
from tests.kuberay.validation.schemas import KUBERNETES, custom_kinds, kind_of, kuberay_kinds

TERRAFORM = Path(__file__).parents[3] / "kuberay" / "aks" / "variables.tf"


def an_object(version: str, kind: str) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}}


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("v1", "ConfigMapp"),
        ("v1", "configmap"),
        ("v2", "ConfigMap"),
        ("apps/v1", "ConfigMap"),
        ("networking.example/v1", "NetworkPolicy"),
        ("policy/v1beta1", "PodDisruptionBudget"),
        ("batch/v1beta1", "CronJob"),
        # Parts of objects, which the published schemas have beside the objects.
        ("v1", "Container"),
        ("v1", "PodSpec"),
        ("ray.io/v1", "RayServices"),
        ("ray.io/v2", "RayService"),
        ("gateway.networking.k8s.io/v1beta2", "Gateway"),
        ("azmonitoring.coreos.com/v1", "PrometheusRule"),
        ("example.org/v1", "Anything"),
    ],
)
def test_a_kind_that_nobody_knows_has_no_schema(version: str, kind: str) -> None:
    assert kind_of(an_object(version, kind)) is None


def test_every_version_that_kuberay_serves_has_a_schema() -> None:
    assert {name for name in kuberay_kinds() if name[0] == "ray.io/v1"} == {
        ("ray.io/v1", kind) for kind in ("RayService", "RayCluster", "RayJob", "RayCronJob")
    }


def test_a_version_that_is_not_served_has_no_schema() -> None:
    version = {"name": "v1", "served": False, "schema": {"openAPIV3Schema": {"type": "object"}}}
    spec = {"group": "x.org", "names": {"kind": "X"}, "scope": "Cluster", "versions": [version]}
    assert list(custom_kinds({"spec": spec})) == []
    ((name, kind),) = custom_kinds({"spec": {**spec, "versions": [{**version, "served": True}]}})
    assert name == ("x.org/v1", "X")
    assert not kind.namespaced


def core() -> list[dict[str, Any]]:
    """The examples of Kubernetes's own kinds."""
    groups = {"apps", "batch", "policy", "networking.k8s.io", "rbac.authorization.k8s.io"}
    groups |= {"", "scheduling.k8s.io"}
    return [item for item in examples() if item["apiVersion"].rpartition("/")[0] in groups]


@pytest.mark.parametrize("item", core(), ids=lambda item: str(item["kind"]))
def test_what_kubernetes_validate_refuses_is_refused_here(item: dict[str, Any]) -> None:
    kind = kind_of(item)
    assert kind is not None
    kubernetes_validate.validate(item, KUBERNETES, strict=True)
    assert kind.problems(item, None) == []
    wrong = [changed(item, (*where, "unheardOf"), 1) for where in mappings(item)]
    wrong += [changed(item, where, {"x": []}) for where in scalars(item) if len(where) > 1]
    for value in wrong:
        if not _is_valid(value):
            assert kind.problems(value, None) != []


def _is_valid(value: dict[str, Any]) -> bool:
    try:
        kubernetes_validate.validate(value, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError:
        return False
    return True


def test_the_version_is_that_of_the_clusters() -> None:
    if not TERRAFORM.exists():
        pytest.skip("there is no kuberay/aks")
    text = TERRAFORM.read_text(encoding="utf-8")
    for variable in hcl2.loads(text)["variable"]:
        for name, body in variable.items():
            if name.strip('"') == "kubernetes_version":
                assert body["default"].strip('"') == KUBERNETES
                return
    pytest.fail("variables.tf has no kubernetes_version")
