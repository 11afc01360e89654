"""The pods of the real manifest, as `podman run` understands them.

Every field of a container must be one that is known here: a new one in the manifest is either
carried over or named in `LEFT_TO_KUBERNETES`.
"""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "kuberay" / "overlays" / "kind"
LEFT_TO_KUBERNETES = {
    *("name", "image", "imagePullPolicy", "ports", "lifecycle"),
    *("livenessProbe", "readinessProbe", "startupProbe"),
}
UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


@dataclass(frozen=True)
class Pod:
    """One kind of pod: its template, and how Ray is started in it."""

    template: Mapping[str, Any]
    ray_start: Mapping[str, str]
    is_head: bool

    @property
    def container(self) -> Mapping[str, Any]:
        """The one in which Ray runs."""
        container: Mapping[str, Any] = self.template["containers"][0]
        return container

    def command(self, address: str) -> list[str]:
        """What KubeRay runs: Ray's parameters after the same words, in a login shell."""
        parameters = {**self.ray_start, **({} if self.is_head else {"address": address})}
        words = " ".join(f"--{name}={value}" for name, value in sorted(parameters.items()))
        head = "--head " if self.is_head else ""
        return ["/bin/bash", "-lc", "--", f"ulimit -n 65536; ray start {head}--block {words}"]

    def options(self, folder: Path, secrets: Mapping[str, Path]) -> list[str]:
        """Options of `podman run`; what is written goes below `folder`."""
        return [
            *self._environment(),
            *self._security(),
            *self._limits(),
            *self._mounts(folder, secrets),
        ]

    def _environment(self) -> list[str]:
        pairs = [f"{entry['name']}={entry['value']}" for entry in self.container["env"]]
        return [word for pair in pairs for word in ("--env", pair)]

    def _security(self) -> list[str]:
        context = {**self.template["securityContext"], **self.container["securityContext"]}
        assert context.pop("capabilities") == {"drop": ["ALL"]}
        assert context.pop("seccompProfile") == {"type": "RuntimeDefault"}
        assert context.pop("runAsNonRoot") is True
        assert context.pop("privileged", False) is False
        assert context.pop("allowPrivilegeEscalation") is False
        context.pop("fsGroupChangePolicy", None)
        user, group = context.pop("runAsUser"), context.pop("runAsGroup")
        options = [
            *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
            *("--user", f"{user}:{group}", "--group-add", str(context.pop("fsGroup"))),
        ]
        if context.pop("readOnlyRootFilesystem"):
            options += ["--read-only", "--read-only-tmpfs=false"]
        assert context == {}, f"not carried over: {context}"
        return options

    def _limits(self) -> list[str]:
        limits = self.container["resources"]["limits"]
        return ["--cpus", str(limits["cpu"]), "--memory", str(_bytes(limits["memory"]))]

    def _mounts(self, folder: Path, secrets: Mapping[str, Path]) -> list[str]:
        volumes = {volume["name"]: volume for volume in self.template["volumes"]}
        group = self.template["securityContext"]["fsGroup"]
        options: list[str] = []
        for mount in self.container["volumeMounts"]:
            volume, path = volumes[mount["name"]], mount["mountPath"]
            assert "subPath" not in mount
            if "secret" in volume:
                source = secrets[volume["secret"]["secretName"]]
            elif volume.get("emptyDir", {}).get("medium") == "Memory":
                size = _bytes(volume["emptyDir"]["sizeLimit"])
                # The kernel gives a container its /dev/shm in any case.
                assert path == "/dev/shm"
                options += ["--shm-size", str(size)]
                continue
            else:
                assert "emptyDir" in volume, volume
                source = folder / mount["name"]
                source.mkdir(parents=True)
                _give(source, group)
            mode = "ro" if mount.get("readOnly") else "rw"
            options += ["--volume", f"{source}:{path}:{mode}"]
        return options


def check_known(pod: Pod) -> None:
    """Fails for a field of the container that nobody thought of."""
    known = {"env", "securityContext", "resources", "volumeMounts", *LEFT_TO_KUBERNETES}
    assert set(pod.container) <= known


def rayservice() -> dict[str, Any]:
    """The specification of the kind overlay's RayService."""
    rendered = subprocess.run(
        ["kubectl", "kustomize", str(MANIFESTS)], capture_output=True, text=True, check=True
    )
    objects = list(yaml.safe_load_all(rendered.stdout))
    (found,) = [one for one in objects if one["kind"] == "RayService"]
    spec: dict[str, Any] = found["spec"]
    return spec


def pod(spec: Mapping[str, Any], group: str | None) -> Pod:
    """The pod of a worker group; without one that of the head."""
    cluster = spec["rayClusterConfig"]
    if group is None:
        found = cluster["headGroupSpec"]
    else:
        (found,) = [one for one in cluster["workerGroupSpecs"] if one["groupName"] == group]
    made = Pod(found["template"]["spec"], found["rayStartParams"], group is None)
    check_known(made)
    return made


def _give(folder: Path, group: int) -> None:
    """As the kubelet does with `fsGroup`."""
    os.chown(folder, 0, group)
    folder.chmod(0o2777)


def _bytes(quantity: str) -> int:
    for unit, factor in UNITS.items():
        if quantity.endswith(unit):
            return int(quantity.removesuffix(unit)) * factor
    return int(quantity)
