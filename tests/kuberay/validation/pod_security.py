"""Pod Security admission: what a namespace's `enforce` label refuses of the pods in it.

A workload with such pods is accepted; its pods never come, and an event says why. Source: "Pod
Security Standards" in kubernetes.io/docs, levels baseline and restricted, for Linux.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.kuberay.validation.pods import CLUSTERS, Pods, at, pods_of

Object = Mapping[str, Any]

LABEL = "pod-security.kubernetes.io/enforce"
BASELINE_CAPABILITIES = frozenset(
    {
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD"),
        *("NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    }
)
RESTRICTED_VOLUMES = frozenset(
    {
        *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image"),
        *("persistentVolumeClaim", "projected", "secret"),
    }
)


def security_problems(item: Object, level: str) -> Iterator[str]:
    """`path: message` for what a level refuses in the pods of one object."""
    if level == "privileged":
        return
    for pods in pods_of(item):
        prefix = f"{pods.path}.spec".lstrip(".")
        yield from _pod(prefix, pods.spec, level)
        for path, container in _containers(item, pods):
            yield from _baseline(path, container)
            if level == "restricted":
                yield from _restricted(path, container, pods.spec)


def _containers(item: Object, pods: Pods) -> Iterator[tuple[str, Object]]:
    yield from pods.containers()
    autoscaler = at(item, f"{CLUSTERS.get(item['kind'], '')}.autoscalerOptions")
    if pods.labels.get("ray.io/node-type") == "head" and autoscaler:
        yield f"{CLUSTERS[item['kind']]}.autoscalerOptions", autoscaler


def _pod(path: str, spec: Object, level: str) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(name):
            yield f"{path}.{name}: not in a namespace of the level {level}"
    for index, volume in enumerate(spec.get("volumes", ())):
        for source in volume.keys() - {"name"}:
            if source == "hostPath" or (level == "restricted" and source not in RESTRICTED_VOLUMES):
                yield f"{path}.volumes[{index}].{source}: not in a namespace of the level {level}"


def _baseline(path: str, container: Object) -> Iterator[str]:
    context = container.get("securityContext", {})
    if context.get("privileged"):
        yield f"{path}.securityContext.privileged: is refused"
    added = set(at(context, "capabilities.add") or ())
    for name in sorted(added - BASELINE_CAPABILITIES):
        yield f"{path}.securityContext.capabilities.add: {name} is refused"
    for name in ("seccompProfile", "appArmorProfile"):
        if at(context, f"{name}.type") == "Unconfined":
            yield f"{path}.securityContext.{name}.type: Unconfined is refused"
    for index, port in enumerate(container.get("ports", ())):
        if port.get("hostPort"):
            yield f"{path}.ports[{index}].hostPort: is refused"


def _restricted(path: str, container: Object, spec: Object) -> Iterator[str]:
    own = container.get("securityContext", {})
    context = {**spec.get("securityContext", {}), **own}
    where = f"{path}.securityContext"
    if own.get("allowPrivilegeEscalation") is not False:
        yield f"{where}.allowPrivilegeEscalation: must be false"
    if "ALL" not in (at(own, "capabilities.drop") or ()):
        yield f"{where}.capabilities.drop: must have ALL"
    for name in sorted(set(at(own, "capabilities.add") or ()) - {"NET_BIND_SERVICE"}):
        yield f"{where}.capabilities.add: {name} is refused"
    if context.get("runAsNonRoot") is not True:
        yield f"{where}.runAsNonRoot: must be true"
    if context.get("runAsUser") == 0:
        yield f"{where}.runAsUser: 0 is refused"
    if at(context, "seccompProfile.type") not in ("RuntimeDefault", "Localhost"):
        yield f"{where}.seccompProfile.type: must be RuntimeDefault or Localhost"
