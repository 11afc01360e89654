"""One function that says everything that is wrong with a set of Kubernetes objects."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.kuberay.validation.contents import content_problems
from tests.kuberay.validation.documents import leaves
from tests.kuberay.validation.metadata import metadata_problems
from tests.kuberay.validation.operator_rules import operator_problems
from tests.kuberay.validation.pod_security import LABEL, security_problems
from tests.kuberay.validation.pods import pod_problems, value_problems
from tests.kuberay.validation.references import Scene, reference_problems
from tests.kuberay.validation.schemas import kind_of
from tests.kuberay.validation.serve_config import serve_problems

Object = Mapping[str, Any]


def problems(
    objects: Sequence[Object],
    *,
    before: Sequence[Object] = (),
    external: frozenset[str] = frozenset(),
) -> list[str]:
    """`Kind namespace/name: path: message` for everything that somebody would refuse.

    Schemas and rules first; while one is broken, what builds on them is not looked at. Rules about
    changes compare with the objects `before`. `external` names what other hands make:
    `Kind/name` or `Kind/namespace/name`.
    """
    shapeless = [f"object {number}: {found}" for number, found in _shapes(objects)]
    if shapeless:
        return shapeless
    former = {_identity(item): item for item in before}
    found = [f"{_name(item)}: {text}" for item, text in _each(objects, former)]
    found += [
        f"{' '.join(filter(None, identity))}: is given {times} times"
        for identity, times in Counter(map(_identity, objects)).items()
        if times > 1
    ]
    if found:
        return found
    found = [f"{_name(item)}: {text}" for item in objects for text in _meaning(item)]
    found += [f"{_name(item)}: {text}" for item, text in _admission(objects)]
    if found:
        return found
    scene = Scene(objects, external)
    return [f"{_name(item)}: {text}" for item, text in reference_problems(scene)]


def _shapes(objects: Sequence[Any]) -> Iterator[tuple[int, str]]:
    for number, item in enumerate(objects):
        if not isinstance(item, Mapping):
            yield number, "is no mapping"
            continue
        metadata = item.get("metadata")
        texts = [item.get("apiVersion"), item.get("kind")]
        texts += [metadata.get("name")] if isinstance(metadata, Mapping) else [None]
        if not all(isinstance(text, str) and text for text in texts):
            yield number, "has no apiVersion, kind and metadata.name"


def _each(
    objects: Sequence[Object], former: Mapping[tuple[str, ...], Object]
) -> Iterator[tuple[Object, str]]:
    for item in objects:
        kind = kind_of(item)
        if kind is None:
            yield item, f"kind: nobody here knows {item['kind']} of {item['apiVersion']}"
            continue
        for text in kind.problems(item, former.get(_identity(item))):
            yield item, text
        for path, value in leaves(item):
            if value is None:
                yield item, f"{path}: is null"
        namespace = item["metadata"].get("namespace")
        if kind.namespaced and namespace is None:
            yield item, "metadata.namespace: is missing"
        elif not kind.namespaced and namespace is not None:
            yield item, f"metadata.namespace: a {item['kind']} has none"


def _meaning(item: Object) -> Iterator[str]:
    yield from metadata_problems(item)
    yield from value_problems(item)
    yield from operator_problems(item)
    yield from pod_problems(item)
    yield from content_problems(item)
    if item["kind"] == "RayService":
        for text in serve_problems(item["spec"].get("serveConfigV2", "")):
            yield f"spec.serveConfigV2: {text}"


def _admission(objects: Sequence[Object]) -> Iterator[tuple[Object, str]]:
    levels = {
        item["metadata"]["name"]: item["metadata"].get("labels", {}).get(LABEL, "privileged")
        for item in objects
        if item["kind"] == "Namespace"
    }
    for item in objects:
        level = levels.get(item["metadata"].get("namespace", ""), "privileged")
        yield from ((item, text) for text in security_problems(item, level))


def _identity(item: Object) -> tuple[str, ...]:
    """What may be there once: the group, not its version, the kind, the namespace and the name."""
    group = item["apiVersion"].rpartition("/")[0]
    return group, item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _name(item: Object) -> str:
    namespace = item["metadata"].get("namespace")
    return (
        f"{item['kind']} {namespace}/{item['metadata']['name']}"
        if namespace
        else (f"{item['kind']} {item['metadata']['name']}")
    )
