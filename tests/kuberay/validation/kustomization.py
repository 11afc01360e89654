"""What Kustomize itself lets pass in its own files.

It refuses unknown fields, and patches by name that meet nothing. It does not say a word about keys
that are given twice, images that no object has, patches by target that meet nothing, and resources
in a folder that no kustomization lists.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.kuberay.validation.documents import leaves, read

Object = Mapping[str, Any]
FILE = "kustomization.yaml"


def folders(folder: Path) -> Iterator[Path]:
    """A folder with a kustomization, and those that it builds on."""
    yield folder
    (settings,) = read(folder / FILE)
    for entry in (*settings.get("resources", ()), *settings.get("components", ())):
        if (folder / entry).is_dir():
            yield from folders((folder / entry).resolve())


def file_problems(folder: Path) -> list[str]:
    """Keys given twice in any YAML file of a folder, and files that nothing names."""
    found = []
    named = (folder / FILE).read_text(encoding="utf-8")
    for file in sorted(folder.glob("*.yaml")):
        try:
            read(file)
        except yaml.YAMLError as error:
            found.append(f"{file.name}: {error}")
        if file.name not in (FILE, "settings.yaml") and file.name not in named:
            found.append(f"{file.name}: {FILE} does not name it")
    return found


def effect_problems(folder: Path, rendered: Sequence[Object]) -> Iterator[str]:
    """Entries of a kustomization that change nothing in the objects that were rendered."""
    (settings,) = read(folder / FILE)
    values = {value for item in rendered for _, value in leaves(item) if isinstance(value, str)}
    for index, image in enumerate(settings.get("images", ())):
        name = image.get("newName", image["name"])
        tag = f":{image['newTag']}" if "newTag" in image else ""
        if not any(value.startswith(name + tag) for value in values):
            yield f"images[{index}]: no object has the image {image['name']}"
    for index, entry in enumerate(settings.get("patches", ())):
        target = entry.get("target")
        if target is not None and not any(_meets(target, item) for item in rendered):
            yield f"patches[{index}].target: meets no object"


def _meets(target: Object, item: Object) -> bool:
    """Names and namespaces of targets are regular expressions of the whole text."""
    group, _, version = item["apiVersion"].rpartition("/")
    if target.get("kind", item["kind"]) != item["kind"]:
        return False
    if target.get("group", group) != group or target.get("version", version) != version:
        return False
    return all(
        re.fullmatch(target.get(key, ".*"), item["metadata"].get(key, "default"))
        for key in ("name", "namespace")
    )
