"""What a change will do, as KubeRay decides it."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kuberay.rollout.holding import HOLD, has_hold, parsed, with_hold, without_hold
from kuberay.rollout.plan import Plan, added_groups, decide, same_cluster, scaling_patch
from tests.kuberay.rollout.field_managers import Json
from tests.kuberay.rollout.manifests import ray_service
from tests.kuberay.rollout.store import Store

ACTIVE = {"activeServiceStatus": {"rayClusterName": "a"}}
PENDING = {**ACTIVE, "pendingServiceStatus": {"rayClusterName": "b"}}


def before(service: Json, status: Json = ACTIVE) -> Json:
    """A live service."""
    return {**service, "status": status}


def change(service: Json, *path: Any, value: Any) -> Json:
    """With one value of its `rayClusterConfig` changed."""
    found = copy.deepcopy(service)
    inner = found["spec"]["rayClusterConfig"]
    for key in path[:-1]:
        inner = inner[key] if isinstance(key, int) else inner.setdefault(key, {})
    inner[path[-1]] = value
    return found


CONTAINER = ("workerGroupSpecs", 0, "template", "spec", "containers", 0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((*CONTAINER, "image"), "scoring:2"),
        ((*CONTAINER, "env"), [{"name": "A", "value": "1"}]),
        (("headGroupSpec", "rayStartParams"), {"num-cpus": "0"}),
        (("enableInTreeAutoscaling",), False),
        (("workerGroupSpecs", 0, "template", "spec", "volumes"), [{"name": "v", "emptyDir": {}}]),
    ],
)
def test_a_changed_pod_needs_a_new_cluster(path: tuple[Any, ...], value: Any) -> None:
    old = ray_service()
    assert decide(before(old), change(old, *path, value=value)).new_cluster


@pytest.mark.parametrize("key", ["replicas", "minReplicas", "maxReplicas"])
def test_changed_numbers_need_none(key: str) -> None:
    old = change(ray_service(), "enableInTreeAutoscaling", value=False)
    plan = decide(before(old), change(old, "workerGroupSpecs", 0, key, value=9))
    assert (plan.new_cluster, [each.key for each in plan.scale]) == (False, [key])


def test_replicas_are_left_to_the_autoscaler() -> None:
    old = ray_service()
    new = change(old, "workerGroupSpecs", 0, "replicas", value=9)
    assert decide(before(old), new).is_nothing
    new = change(old, "workerGroupSpecs", 0, "scaleStrategy", value={"workersToDelete": ["x"]})
    assert decide(before(old), new).is_nothing


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1000m", "1", True),
        (1, "1", True),
        ("1024Mi", "1Gi", True),
        ("1G", "1Gi", False),
        ("1Gi", "1073741824", False),
        ("2", "1", False),
    ],
)
def test_quantities_are_compared_as_the_operator_writes_them(
    one: Any, other: Any, same: bool
) -> None:
    first = change(ray_service(), *CONTAINER, "resources", "limits", "memory", value=one)
    second = change(ray_service(), *CONTAINER, "resources", "limits", "memory", value=other)
    assert (
        same_cluster(first["spec"]["rayClusterConfig"], second["spec"]["rayClusterConfig"]) is same
    )


def test_groups_at_the_end_alone_are_added_in_place() -> None:
    old = ray_service()["spec"]["rayClusterConfig"]
    assert added_groups(old, ray_service(groups=("cpu", "gpu"))["spec"]["rayClusterConfig"]) == (
        "gpu",
    )
    assert added_groups(old, ray_service(groups=("gpu", "cpu"))["spec"]["rayClusterConfig"]) == ()
    both = ray_service("scoring:2", groups=("cpu", "gpu"))["spec"]["rayClusterConfig"]
    assert added_groups(old, both) == ()


def test_while_a_cluster_is_pending_all_goes_to_a_new_one() -> None:
    old = ray_service("scoring:2")
    same = decide(before(old, PENDING), old)
    assert (same.new_cluster, same.continues, same.returns) == (True, True, False)
    config = decide(before(old, PENDING), ray_service("scoring:2", args={"a": 1}))
    assert (config.new_cluster, config.continues) == (True, False)
    active = {"spec": ray_service("scoring:1")["spec"]["rayClusterConfig"]}
    back = decide(before(old, PENDING), ray_service("scoring:1"), active)
    assert (back.returns, back.continues) == (True, False)
    third = decide(before(old, PENDING), ray_service("scoring:3"), active)
    assert (third.returns, third.continues) == (False, False)


def test_without_a_cluster_it_is_the_first() -> None:
    assert decide(None, ray_service()).is_first
    assert decide(before(ray_service(), {}), ray_service("b:1")).is_first


def test_a_hold_that_stands_there_is_a_change() -> None:
    old = ray_service()
    held = copy.deepcopy(old)
    held["spec"]["serveConfigV2"] = with_hold(held["spec"]["serveConfigV2"])
    assert decide(before(held), old) == Plan(serve_config=True)


@settings(deadline=None)
@given(
    bounds=st.lists(
        st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(5, 9))),
        min_size=2,
        max_size=2,
    )
)
def test_the_patch_sets_what_the_plan_says(bounds: list[tuple[int, int | None]]) -> None:
    old, new = ray_service(groups=("cpu", "gpu")), ray_service(groups=("cpu", "gpu"))
    for group, (least, most) in zip(
        new["spec"]["rayClusterConfig"]["workerGroupSpecs"], bounds, strict=True
    ):
        group["minReplicas"] = least
        if most is None:
            del group["maxReplicas"]
        else:
            group["maxReplicas"] = most
    plan = decide(before(old), new)
    store = Store()
    store.create("namespaces", "", {"metadata": {"name": "scoring"}})
    cluster = {"metadata": {"name": "a"}, "spec": old["spec"]["rayClusterConfig"]}
    store.create("rayclusters", "scoring", cluster)
    patch = scaling_patch(cluster, plan.scale)
    patched = store.patch("rayclusters", "scoring", "a", patch)
    assert patched["spec"] == new["spec"]["rayClusterConfig"]
    assert scaling_patch(patched, plan.scale) == []


def test_the_hold_comes_and_goes() -> None:
    config = ray_service()["spec"]["serveConfigV2"]
    held = with_hold(config)
    assert (has_hold(config), has_hold(held)) == (False, True)
    assert with_hold(held) == held
    assert parsed(without_hold(held)) == parsed(config)
    assert without_hold(config) is config
    (_, hold) = parsed(held)["applications"]
    assert (hold["name"], hold["route_prefix"]) == (HOLD, None)
