"""The objects of a rollout: read from a folder, a file or standard input, and put in order."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from kuberay.rollout.api import RAY_SERVICE, Object
from kuberay.rollout.errors import UnusableObjects

STANDARD_INPUT = "-"
RENDERERS = (("kubectl", "kustomize"), ("kustomize", "build"))
RENDERING_S = 120.0

ORDER = (
    *("Namespace", "CustomResourceDefinition", "PriorityClass", "StorageClass"),
    *("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"),
    *("NetworkPolicy", "SecretProviderClass", "Secret", "ConfigMap", "PersistentVolumeClaim"),
    *("PodDisruptionBudget", "Service"),
)
"""What others need comes first; kinds that are not named follow, and the RayService is the last."""


def read_objects(source: str | Path) -> tuple[Object, ...]:
    """Every object of a folder (rendered by Kustomize), of a YAML file, or of `-`.

    Raises:
        UnusableObjects: nothing to read, no renderer, or what is read are not Kubernetes objects
    """
    if str(source) == STANDARD_INPUT:
        return parse_objects(sys.stdin.read(), "standard input")
    path = Path(source)
    if path.is_dir():
        return parse_objects(_render(path), str(path))
    try:
        return parse_objects(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableObjects(f"{path} cannot be read: {error}") from error


def parse_objects(text: str, source: str) -> tuple[Object, ...]:
    """Every object of a YAML text; lists are taken apart."""
    try:
        documents = [each for each in yaml.safe_load_all(text) if each is not None]
    except yaml.YAMLError as error:
        raise UnusableObjects(f"{source} is not YAML: {error}") from error
    found = tuple(one for document in documents for one in _flat(document, source))
    if not found:
        raise UnusableObjects(f"{source} holds no object")
    seen: set[str] = set()
    for each in found:
        name = full_name(each)
        if name in seen:
            raise UnusableObjects(f"{source} holds {name} twice")
        seen.add(name)
    return found


def the_service(objects: Sequence[Object]) -> Object:
    """The one RayService. Raises UnusableObjects where there is none, or more than one."""
    found = [each for each in objects if is_service(each)]
    if len(found) != 1:
        names = ", ".join(each["metadata"]["name"] for each in found)
        what = f"there are {len(found)}: {names}" if found else "there is none"
        raise UnusableObjects(f"a rollout is of one RayService, and {what}")
    return found[0]


def is_service(body: Object) -> bool:
    """Whether this is the RayService."""
    return bool(body["kind"] == RAY_SERVICE.name and body["apiVersion"] == RAY_SERVICE.api_version)


def in_order(objects: Sequence[Object]) -> list[Object]:
    """As they are to be applied."""

    def rank(body: Object) -> int:
        if is_service(body):
            return len(ORDER) + 1
        return ORDER.index(body["kind"]) if body["kind"] in ORDER else len(ORDER)

    return sorted(objects, key=rank)


def full_name(body: Object) -> str:
    """Such as `ConfigMap scoring/limits`."""
    metadata = body["metadata"]
    namespace = metadata.get("namespace")
    return f"{body['kind']} {namespace + '/' if namespace else ''}{metadata['name']}"


def _flat(document: object, source: str) -> Iterator[Object]:
    if not isinstance(document, dict):
        raise UnusableObjects(f"{source}: a document is no object but {type(document).__name__}")
    kind = document.get("kind")
    if isinstance(kind, str) and kind.endswith("List") and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _flat(item, source)
        return
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    named = (document.get("apiVersion"), kind, name)
    if not all(isinstance(each, str) and each for each in named):
        raise UnusableObjects(
            f"{source}: an object lacks apiVersion, kind or metadata.name: {named}"
        )
    yield document


def _render(folder: Path) -> str:
    for program, command in RENDERERS:
        if shutil.which(program) is None:
            continue
        try:
            done = subprocess.run(
                [program, command, str(folder)],
                capture_output=True,
                text=True,
                timeout=RENDERING_S,
                check=True,
            )
        except subprocess.CalledProcessError as error:
            said = error.stderr.strip()
            raise UnusableObjects(f"`{program} {command} {folder}` failed: {said}") from error
        except subprocess.TimeoutExpired as error:
            raise UnusableObjects(f"`{program} {command} {folder}` took too long") from error
        return done.stdout
    raise UnusableObjects(
        f"{folder} is a folder: rendering it needs kubectl or kustomize, and neither is installed"
    )
