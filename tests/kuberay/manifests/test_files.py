"""From settings.yaml to files, and what Kustomize makes of them."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from kuberay.manifests.files import GENERATED, ROOT, SettingsWrong, deployment, stale, write
from serve_app.cli import main
from tests.kuberay.manifests.rendering import FOLDERS, identity, kustomized, objects

OVERLAYS = [name for name in FOLDERS if name != "base"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy to change."""
    copy = tmp_path / "kuberay"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns("__pycache__", "aks"))
    return copy


def change(file: Path, **sections: dict[str, Any]) -> None:
    """Merges into a settings.yaml, two levels deep."""
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    for section, settings in sections.items():
        for key, value in settings.items():
            present = content[section].get(key)
            content[section][key] = {**present, **value} if isinstance(present, dict) else value
    file.write_text(yaml.safe_dump(content), encoding="utf-8")


def images_apart(item: dict[str, Any]) -> str:
    """As text, without registry and tag of the images, which the kustomizations set."""
    lines = json.dumps(item, indent=0, sort_keys=True).splitlines()
    return "\n".join("image" if line.startswith('"image": ') else line for line in lines)


def test_what_is_committed_is_what_the_settings_make() -> None:
    assert stale() == []


@pytest.mark.parametrize("name", FOLDERS)
def test_kustomize_puts_together_what_was_made(name: str) -> None:
    rendered = {identity(item): images_apart(item) for item in kustomized(FOLDERS[name])}
    for item in objects(name):
        assert rendered[identity(item)] == images_apart(item)


@pytest.mark.parametrize("name", FOLDERS)
def test_kustomize_adds_monitoring_alone(name: str) -> None:
    added = {identity(item) for item in kustomized(FOLDERS[name])} - {
        identity(item) for item in objects(name)
    }
    names = {item[3] for item in added}
    expected = {
        "scoring-ray",
        "ama-metrics-prometheus-config",
        "ama-metrics-settings-configmap",
        "container-azm-ms-agentconfig",
    }
    assert names == (expected if name in ("production", "gradual") else set())


@pytest.mark.parametrize("name", ["kind", "production"])
def test_kustomize_finds_every_image(name: str) -> None:
    kustomization = yaml.safe_load((FOLDERS[name] / "kustomization.yaml").read_text())
    tags = {image["name"]: image["newTag"] for image in kustomization["images"]}
    (service,) = (item for item in kustomized(FOLDERS[name]) if item["kind"] == "RayService")
    found = re.findall(r'"image": "(.*?)"', json.dumps(service))
    assert len(found) >= 4
    for image in found:
        path, _, tag = image.rpartition(":")
        assert tag == tags[path.rpartition("/")[2]]


def test_a_changed_number_of_the_application_reaches_every_deployment(root: Path) -> None:
    change(root / "base/settings.yaml", application={"faq": {"max_queue": 77}})
    assert {file.relative_to(root).parts[:2] for file in write(root)} == {
        ("base", "rayservice.yaml"),
        *(("overlays", name) for name in OVERLAYS if name != "gradual"),
    }
    for folder in ("base", "overlays/kind", "overlays/gradual"):
        (service,) = (item for item in kustomized(root / folder) if item["kind"] == "RayService")
        config = yaml.safe_load(service["spec"]["serveConfigV2"])
        assert config["applications"][0]["args"]["faq.max_queue"] == 77


def test_a_changed_size_reaches_one_overlay(root: Path) -> None:
    change(root / "overlays/kind/settings.yaml", cluster={"cpu": {"memory_mib": 3072}})
    write(root)
    (service,) = (
        item for item in kustomized(root / "overlays/kind") if item["kind"] == "RayService"
    )
    (group,) = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits["memory"] == "3Gi"
    assert group["rayStartParams"]["memory"] == str(3 * 1024**3)
    assert stale(root) == []


def test_a_file_changed_by_hand_is_stale(root: Path) -> None:
    file = root / "base/network.yaml"
    file.write_text(file.read_text().replace("8405", "8404"), encoding="utf-8")
    assert stale(root) == [file]
    assert write(root) == [file]
    assert stale(root) == []


def test_a_file_that_nothing_makes_any_more_goes(root: Path) -> None:
    left = root / "overlays/kind/gateway.yaml"
    left.write_text(GENERATED, encoding="utf-8")
    assert stale(root) == [left]
    write(root)
    assert not left.exists()


def test_a_file_that_no_kustomization_names_is_an_error(root: Path) -> None:
    file = root / "overlays/production/kustomization.yaml"
    file.write_text(file.read_text().replace("  - gateway.yaml\n", ""), encoding="utf-8")
    with pytest.raises(SettingsWrong, match=r"production/kustomization.yaml: gateway.yaml"):
        stale(root)


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"application": {"faq": {"max_quue": 1}}}, "faq.max_quue is not a setting"),
        ({"application": {"faq": {"max_queue": 0}}}, "faq.max_queue: .*greater than or equal"),
        ({"cluster": {"cpu": {"cpuss": 1}}}, "cpu.cpuss"),
        ({"cluster": {"namespace": "Scoring"}}, "namespace"),
        ({"cluster": {"redis": {"address": "redis.example"}}}, "redis.address"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    root: Path, sections: dict[str, Any], words: str
) -> None:
    change(root / "overlays/production/settings.yaml", **sections)
    with pytest.raises(SettingsWrong, match=rf"(?s)production/settings.yaml: .*{words}"):
        deployment(root / "overlays/production")


def test_a_third_section_is_refused(root: Path) -> None:
    file = root / "base/settings.yaml"
    file.write_text(file.read_text() + "applicaton: {}\n", encoding="utf-8")
    with pytest.raises(SettingsWrong, match="applicaton is neither"):
        deployment(root / "base")


def test_the_command_makes_and_checks(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["manifests", "--folder", str(root)]
    assert main([*arguments, "--check"]) == 0
    change(root / "base/settings.yaml", cluster={"drain_s": 120})
    assert main([*arguments, "--check"]) == 1
    assert "rayservice.yaml" in capsys.readouterr().out
    assert main(arguments) == 0
    assert main([*arguments, "--check"]) == 0
    change(root / "base/settings.yaml", cluster={"drain_s": 0})
    assert main(arguments) == 1
    assert "drain_s" in capsys.readouterr().err
