"""Kustomize: what it refuses itself, and what we find in its stead."""

from pathlib import Path

import pytest

from tests.kuberay.validation.kustomization import (
    effect_problems,
    file_problems,
    folders,
)
from tests.kuberay.validation.rendering import CannotRender, render

OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {image: 'x:1'}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one object and a kustomization that lists it."""
    (tmp_path / "object.yaml").write_text(OBJECT)
    (tmp_path / "kustomization.yaml").write_text("resources: [object.yaml]\n")
    return tmp_path


def add(folder: Path, text: str, file: str = "kustomization.yaml") -> None:
    with (folder / file).open("a") as written:
        written.write(text)


def test_a_folder_is_rendered(folder: Path) -> None:
    add(folder, "namespace: shop\n")
    (item,) = render(folder)
    assert item["metadata"] == {"name": "a", "namespace": "shop"}
    assert file_problems(folder) == []
    assert list(effect_problems(folder, [item])) == []


@pytest.mark.parametrize(
    "text",
    [
        "resource: [object.yaml]\n",
        "images: [{name: x, newNames: z}]\n",
        "patches: [{path: absent.yaml}]\n",
        "components: [absent]\n",
        "commonLabels: {a: b}\n",
        "patches: [{patch: 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: b}'}]\n",
    ],
)
def test_kustomize_refuses_or_warns(folder: Path, text: str) -> None:
    add(folder, text)
    with pytest.raises(CannotRender):
        render(folder)


def test_kustomize_refuses_an_object_with_a_key_given_twice(folder: Path) -> None:
    add(folder, "data: {}\n", "object.yaml")
    with pytest.raises(CannotRender, match="data"):
        render(folder)


def test_a_key_given_twice_in_a_kustomization_is_found(folder: Path) -> None:
    add(folder, "namespace: a\nnamespace: b\n")
    render(folder)  # not a word
    (found,) = file_problems(folder)
    assert found.startswith("kustomization.yaml: namespace is given twice")


def test_a_file_that_nothing_names_is_found(folder: Path) -> None:
    (folder / "forgotten.yaml").write_text(OBJECT)
    assert file_problems(folder) == ["forgotten.yaml: kustomization.yaml does not name it"]


def a_patch(target: str) -> str:
    return f"patches: [{{target: {target}, patch: '- {{op: remove, path: /data}}'}}]\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("images: [{name: other, newName: z1}]\n", "images[0]: no object has the image other"),
        (a_patch("{kind: Deployment}"), "patches[0].target: meets no object"),
        (a_patch("{kind: ConfigMap, name: b.*}"), "patches[0].target: meets no object"),
        (a_patch("{group: apps, kind: ConfigMap}"), "patches[0].target: meets no object"),
    ],
)
def test_an_entry_without_effect_is_found(folder: Path, text: str, found: str) -> None:
    add(folder, text)
    assert list(effect_problems(folder, render(folder))) == [found]


def test_a_patch_that_meets_something_is_no_problem(folder: Path) -> None:
    add(folder, a_patch("{kind: ConfigMap, name: a}"))
    assert list(effect_problems(folder, render(folder))) == []


def test_folders_are_followed(folder: Path, tmp_path: Path) -> None:
    upper = tmp_path / "upper"
    upper.mkdir()
    (upper / "kustomization.yaml").write_text("resources: [..]\n")
    assert list(folders(upper)) == [upper, folder]
