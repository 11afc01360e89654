"""`make images` and `make images-push` print what they run; nothing is run here."""

import subprocess

import pytest

from tests.images.store import ROOT


def make(*words: str, fails: bool = False) -> str:
    """What make would run, continued lines as one."""
    command = ["make", "--dry-run", *words]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode != 0) is fails, ended.stderr
    return ended.stderr if fails else ended.stdout.replace("\\\n", " ")


@pytest.mark.parametrize("builder", ["docker", "buildah"])
def test_both_images_are_built_with_their_lists_of_packages(builder: str) -> None:
    lines = make("images", f"BUILDER={builder}", "VERSION=1.2.3").splitlines()
    for kind in ("cpu", "gpu"):
        (build,) = [line for line in lines if f"--tag scoring-{kind}:1.2.3" in line]
        assert builder in build
        assert f"--target {kind} " in build
        assert any(f"--target {kind}-sbom-file " in line for line in lines)
        assert "--build-arg VERSION=1.2.3" in build
        assert "--build-arg BASE" not in build


def test_what_is_given_is_passed_on() -> None:
    given = ["BASE=b", "INDEX=i", "TORCH_INDEX=t", "MODELS=m", "PIP_CONF=p", "BUILD_ARGS=--more"]
    (build,) = [line for line in make("images", "IMAGES=gpu", *given).splitlines() if "tag" in line]
    for words in ("BASE=b", "INDEX=i", "TORCH_INDEX=t"):
        assert f"--build-arg {words}" in build
    assert "--build-context models=m" in build
    assert "--secret id=pip,src=p" in build
    assert "--more" in build


@pytest.mark.parametrize("builder", ["docker", "buildah"])
def test_the_version_is_pushed_to_the_registry(builder: str) -> None:
    printed = make("images-push", "REGISTRY=name.azurecr.io", "VERSION=1.2.3", f"BUILDER={builder}")
    for kind in ("cpu", "gpu"):
        assert f"name.azurecr.io/scoring-{kind}:1.2.3" in printed


def test_a_push_without_a_registry_says_what_is_missing() -> None:
    assert "REGISTRY is not given" in make("images-push", fails=True)


@pytest.mark.parametrize("target", ["images", "images-push"])
def test_no_image_is_called_latest(target: str) -> None:
    words = [target, "REGISTRY=name.azurecr.io"]
    assert "latest" not in make(*words)
    assert "not latest" in make(*words, "VERSION=latest", fails=True)
