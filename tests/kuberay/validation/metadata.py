"""Names, labels and annotations, which schemas leave to code.

Source: "Object Names and IDs", "Labels and Selectors", "Annotations" in kubernetes.io/docs.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
STARTS_WITH_A_LETTER = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
PART = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
# Names of roles are parts of a path.
PATH_SEGMENT = re.compile(r"(?!\.\.?$)[^/%]+")

NAMES = {
    "Service": STARTS_WITH_A_LETTER,
    "Namespace": LABEL,
    **dict.fromkeys(("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"), PATH_SEGMENT),
}
"""The form of a name by kind; a DNS subdomain where nothing is said."""
NAME_LENGTH = 253
ANNOTATIONS_BYTES = 256 * 1024


def metadata_problems(value: Mapping[str, Any]) -> Iterator[str]:
    """`path: message` for the metadata of one object."""
    metadata = value["metadata"]
    form = NAMES.get(value["kind"], SUBDOMAIN)
    if not form.fullmatch(metadata["name"]) or len(metadata["name"]) > NAME_LENGTH:
        yield f"metadata.name: {metadata['name']!r} is no name of a {value['kind']}"
    if "namespace" in metadata and not LABEL.fullmatch(metadata["namespace"]):
        yield f"metadata.namespace: {metadata['namespace']!r} is no namespace"
    yield from map_problems(metadata, "metadata")


def map_problems(metadata: Mapping[str, Any], path: str) -> Iterator[str]:
    """Labels and annotations, of an object or of its pods."""
    labels, annotations = metadata.get("labels", {}), metadata.get("annotations", {})
    for key, label in labels.items():
        yield from _key(key, f"{path}.labels.{key}")
        if label and not PART.fullmatch(label):
            yield f"{path}.labels.{key}: {label!r} is no value of a label"
    for key in annotations:
        yield from _key(key.lower(), f"{path}.annotations.{key}")
    size = sum(len(key.encode()) + len(text.encode()) for key, text in annotations.items())
    if size > ANNOTATIONS_BYTES:
        yield f"{path}.annotations: {size} bytes, of {ANNOTATIONS_BYTES}"


def _key(key: str, path: str) -> Iterator[str]:
    prefix, slash, name = key.rpartition("/")
    good = not slash or (SUBDOMAIN.fullmatch(prefix) and len(prefix) <= NAME_LENGTH)
    if not good or not PART.fullmatch(name):
        yield f"{path}: no key of a label or an annotation"
