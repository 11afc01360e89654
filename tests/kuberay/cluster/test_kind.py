"""The laptop's targets: what they would run."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def would_run(*words: str) -> str:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", "PYTHON=true", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("target", "commands"),
    [
        (
            "kind-up",
            ["kind create cluster --name scoring", "--values kuberay/operator-values.yaml"],
        ),
        ("kind-deploy", ["keys create --scope faq", "rollout apply kuberay/overlays/kind"]),
        ("kind-url", ["port-forward service/scoring-serve-svc 8000"]),
        ("kind-test", ["SCORING_TEST_STRICT=1", "pytest -m kubernetes"]),
        ("kind-down", ["kind delete cluster --name scoring"]),
    ],
)
def test_each_target_prints_what_it_runs(target: str, commands: list[str]) -> None:
    printed = would_run(target)
    for each in commands:
        assert each in printed


@pytest.mark.parametrize("builder", ["docker", "buildah"])
def test_images_go_into_the_nodes_under_the_overlays_tag(builder: str) -> None:
    printed = would_run("kind-images", f"BUILDER={builder}", "VERSION=9")
    assert "scoring-cpu:9" in printed
    assert "scoring-cpu:latest" in printed
    assert "kind load image-archive build/scoring-cpu.tar" in printed
    assert "newTag: latest" in (ROOT / "kuberay/overlays/kind/kustomization.yaml").read_text()


def test_every_kubectl_and_rollout_means_the_clusters_own_kubeconfig() -> None:
    for target in ("kind-up", "kind-deploy", "kind-url", "kind-test", "kind-down"):
        for line in would_run(target).replace("\\\n", " ").splitlines():
            if re.search(r"\b(kubectl|helm|rollout|pytest|kind) ", line) and "pip" not in line:
                assert "kind-kubeconfig" in line, line


def test_both_ways_install_the_same_kuberay() -> None:
    versions = {
        match[1]
        for file in ("kuberay/kind.mk", "kuberay/aks/Makefile")
        for match in re.finditer(r"KUBERAY_VERSION\s*\??:?=\s*(\S+)", (ROOT / file).read_text())
    }
    assert len(versions) == 1
