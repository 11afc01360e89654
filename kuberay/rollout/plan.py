"""What a change of a RayService will do, decided as KubeRay decides it.

Source: KubeRay 1.7, rayservice_controller.go. A new cluster is prepared where the hash of
`rayClusterConfig` differs, and that hash leaves out replicas, their bounds and `workersToDelete` of
the worker groups. Groups added behind the others are added in place. A changed `serveConfigV2` is
sent to the cluster that is newest. What the hash leaves out reaches no cluster that exists: the
rollout sets it on the active RayCluster itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from kuberay.rollout.api import Object
from kuberay.rollout.holding import has_hold, same_config

SCALING = ("replicas", "minReplicas", "maxReplicas")
QUANTITIES = {"limits", "requests", "sizeLimit"}
DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15}
BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50}
"""Exponents of 10 and of 2 (apimachinery's resource.Quantity)."""

NO_UPGRADE = "None"


@dataclass(frozen=True)
class Scale:
    """A worker group whose numbers change."""

    group: str
    key: str
    before: int | None
    after: int | None

    def __str__(self) -> str:
        return f"{self.group} {self.key} {_shown(self.before)} -> {_shown(self.after)}"


@dataclass(frozen=True)
class Plan:
    """What an apply will do to the service."""

    is_first: bool = False
    new_cluster: bool = False
    serve_config: bool = False
    added_groups: tuple[str, ...] = ()
    scale: tuple[Scale, ...] = ()
    ignored: bool = False
    """The cluster's change is not carried out: `upgradeStrategy.type: None`."""
    continues: bool = False
    """A rollout of the same that was interrupted goes on."""
    returns: bool = False
    """Back to what the active cluster has, while another one is pending."""

    @property
    def is_nothing(self) -> bool:
        """Whether the service stays as it is."""
        return self == Plan()

    @property
    def summary(self) -> str:
        """One line."""
        if self.is_first:
            return "the first cluster"
        parts = []
        if self.returns:
            parts.append("back to what the active cluster has")
        elif self.continues:
            parts.append("goes on with the cluster that is pending")
        elif self.new_cluster:
            parts.append("a new cluster, then the traffic moves to it")
        elif self.serve_config:
            parts.append("the Serve config, in place")
        if self.added_groups:
            parts.append(f"worker groups added in place: {', '.join(self.added_groups)}")
        if self.scale and not self.new_cluster:
            parts.append(f"scale: {', '.join(map(str, self.scale))}")
        if self.ignored:
            parts.append("the cluster's change waits for the next one (upgradeStrategy: None)")
        return "; ".join(parts) or "nothing to change"


def decide(before: Object | None, after: Object, active: Object | None = None) -> Plan:
    """From the RayService as it is and as the dry run says it would be; `active` is the RayCluster
    that has the traffic.
    """
    if before is None:
        return Plan(is_first=True)
    old, new = before["spec"], after["spec"]
    status = before.get("status") or {}
    has_active = bool((status.get("activeServiceStatus") or {}).get("rayClusterName"))
    has_pending = bool((status.get("pendingServiceStatus") or {}).get("rayClusterName"))
    if not has_active:
        return Plan(is_first=True)
    old_cluster, new_cluster = old["rayClusterConfig"], new["rayClusterConfig"]
    config_changes = not same_config(old["serveConfigV2"], new["serveConfigV2"])
    is_same = same_cluster(old_cluster, new_cluster)
    if has_pending:
        # Whatever is sent reaches the pending cluster, or another one in its place.
        return Plan(
            new_cluster=True,
            serve_config=config_changes,
            continues=is_same and not config_changes,
            returns=not is_same
            and active is not None
            and same_cluster(active["spec"], new_cluster),
        )
    added = () if is_same else added_groups(old_cluster, new_cluster)
    needs_cluster = not is_same and not added
    strategy = (new.get("upgradeStrategy") or {}).get("type")
    ignored = needs_cluster and strategy == NO_UPGRADE
    return Plan(
        new_cluster=needs_cluster and not ignored,
        # A hold that was left behind goes, with nothing else changed.
        serve_config=config_changes or has_hold(old["serveConfigV2"]),
        added_groups=added,
        scale=scale_of(old_cluster, new_cluster),
        ignored=ignored,
    )


def same_cluster(one: Object, other: Object) -> bool:
    """Whether KubeRay's hash of the two is the same."""
    return bool(_normal(_unscaled(one)) == _normal(_unscaled(other)))


def added_groups(old: Object, new: Object) -> tuple[str, ...]:
    """The worker groups behind those that were there; none where anything else differs too."""
    count = len(old.get("workerGroupSpecs") or ())
    groups = new.get("workerGroupSpecs") or []
    if len(groups) <= count or not same_cluster(old, {**new, "workerGroupSpecs": groups[:count]}):
        return ()
    return tuple(each["groupName"] for each in groups[count:])


def scale_of(old: Object, new: Object) -> tuple[Scale, ...]:
    """The numbers that differ, of the groups that are in both.

    `replicas` is left to Ray's autoscaler where that runs.
    """
    keys = SCALING[1:] if new.get("enableInTreeAutoscaling") else SCALING
    before = {each["groupName"]: each for each in old.get("workerGroupSpecs") or ()}
    return tuple(
        Scale(name, key, before[name].get(key), group.get(key))
        for group in new.get("workerGroupSpecs") or ()
        if (name := group["groupName"]) in before
        for key in keys
        if before[name].get(key) != group.get(key)
    )


def scaling_patch(cluster: Object, scale: Sequence[Scale]) -> list[Object]:
    """The JSON patch (RFC 6902) that sets the numbers on a RayCluster."""
    operations: list[Object] = []
    for index, group in enumerate(cluster["spec"].get("workerGroupSpecs") or ()):
        path = f"/spec/workerGroupSpecs/{index}"
        changes = [
            each
            for each in scale
            if each.group == group["groupName"] and group.get(each.key) != each.after
        ]
        if changes:
            # Guards against another list than the one that was read.
            test = {"op": "test", "path": f"{path}/groupName", "value": group["groupName"]}
            operations.append(test)
        for each in changes:
            if each.after is None:
                operations.append({"op": "remove", "path": f"{path}/{each.key}"})
            else:
                add = {"op": "add", "path": f"{path}/{each.key}", "value": each.after}
                operations.append(add)
    return operations


def _unscaled(cluster: Object) -> Object:
    groups = []
    for each in cluster.get("workerGroupSpecs") or ():
        group = {key: value for key, value in each.items() if key not in SCALING}
        strategy = dict(group.get("scaleStrategy") or {})
        strategy.pop("workersToDelete", None)
        groups.append({**group, "scaleStrategy": strategy or None})
    return {**cluster, "workerGroupSpecs": groups}


def _normal(value: Any, *, is_quantity: bool = False) -> Any:
    """With quantities as numbers, as the operator's structs hold them, and without nulls.

    Where it is in doubt whether the operator sees a difference, this sees one: a change that starts
    a new cluster must not be taken for one that does not.
    """
    if isinstance(value, Mapping):
        return {
            key: _normal(each, is_quantity=is_quantity or key in QUANTITIES)
            for key, each in value.items()
            if each is not None
        }
    if isinstance(value, list):
        return [_normal(each) for each in value]
    if is_quantity and isinstance(value, str | int | float) and not isinstance(value, bool):
        return _quantity(str(value))
    return value


def _quantity(text: str) -> tuple[Decimal, bool] | str:
    """The number, and whether it is written with a binary suffix: that stays as it is."""
    number = text.rstrip("KMGTPinumk")
    suffix = text.removeprefix(number)
    try:
        if suffix in BINARY:
            return Decimal(number) * 2 ** BINARY[suffix], True
        return Decimal(number) * Decimal(10) ** DECIMAL[suffix], False
    except (InvalidOperation, KeyError):
        return text


def _shown(number: int | None) -> str:
    return "-" if number is None else str(number)
