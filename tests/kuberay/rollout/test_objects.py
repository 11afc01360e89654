"""Reading what is to be rolled out."""

import io
import os
import shutil
from pathlib import Path

import pytest

from kuberay.rollout import UnusableObjects, read_objects
from kuberay.rollout.objects import in_order, parse_objects
from tests.kuberay.rollout.manifests import config_map, ray_service

CONFIG_MAP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: a}
"""


def test_a_file_of_several_documents_is_read(tmp_path: Path) -> None:
    path = tmp_path / "objects.yaml"
    path.write_text(f"---\n{CONFIG_MAP}---\n---\n{CONFIG_MAP.replace('name: a', 'name: b')}")
    assert [each["metadata"]["name"] for each in read_objects(path)] == ["a", "b"]


def test_standard_input_and_lists_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "kind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: A, metadata: {name: x}}\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert [each["kind"] for each in read_objects("-")] == ["A"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "is not YAML"),
        ("", "holds no object"),
        ("just text", "is no object but str"),
        ("kind: A\nmetadata: {name: x}", "lacks apiVersion"),
        ("apiVersion: v1\nkind: A", "lacks apiVersion, kind or metadata.name"),
        (CONFIG_MAP + "---" + CONFIG_MAP, "holds ConfigMap a twice"),
    ],
)
def test_what_is_no_object_is_refused(text: str, why: str) -> None:
    with pytest.raises(UnusableObjects, match=why):
        parse_objects(text, "it")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableObjects, match="cannot be read"):
        read_objects(tmp_path / "nothing.yaml")


def test_a_folder_is_rendered_by_kustomize(tmp_path: Path) -> None:
    if shutil.which("kubectl") is None and shutil.which("kustomize") is None:
        pytest.skip("neither kubectl nor kustomize is installed")
    (tmp_path / "a.yaml").write_text(CONFIG_MAP)
    (tmp_path / "kustomization.yaml").write_text("namePrefix: my-\nresources: [a.yaml]\n")
    assert [each["metadata"]["name"] for each in read_objects(tmp_path)] == ["my-a"]
    (tmp_path / "kustomization.yaml").write_text("resources: [b.yaml]\n")
    with pytest.raises(UnusableObjects, match=r"b\.yaml"):
        read_objects(tmp_path)


def test_a_folder_without_a_renderer_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    with pytest.raises(UnusableObjects, match="neither is installed"):
        read_objects(tmp_path)


def test_the_service_comes_last_and_namespaces_first() -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}
    other = {"apiVersion": "x/v1", "kind": "PodMonitor", "metadata": {"name": "p"}}
    ordered = in_order([ray_service(), other, config_map(), namespace])
    kinds = [each["kind"] for each in ordered]
    assert kinds == ["Namespace", "ConfigMap", "PodMonitor", "RayService"]
