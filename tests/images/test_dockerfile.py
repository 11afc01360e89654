"""What can be said of both images without building them."""

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.images.store import ROOT

DOCKERFILE = (ROOT / "images" / "Dockerfile").read_text(encoding="utf-8")
ANYWHERE = re.compile(r"https?://|\b[\w-]+(\.[\w-]+)*\.(io|com|org|net)\b")
LABELS = re.compile(r"org\.opencontainers\.[\w.]+")


def instructions() -> Iterator[tuple[str, str, str]]:
    """Stage, instruction and its words; continued lines are one."""
    stage = ""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    for line in text.splitlines():
        if not line.strip():
            continue
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            stage = rest.split(" AS ")[1].strip()
        yield stage, word, " ".join(rest.split())


def of(stage: str, instruction: str) -> list[str]:
    return [words for one, word, words in instructions() if (one, word) == (stage, instruction)]


def parents() -> dict[str, str]:
    return {stage: words.split()[0] for stage, word, words in instructions() if word == "FROM"}


def requirements(*extras: str) -> set[str]:
    """Names of what `requirements.py` prints."""
    command = [sys.executable, "images/requirements.py", "pyproject.toml", *extras]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {re.split(r"[\[<>=!~ ]", line)[0] for line in printed.split()}


def test_no_host_is_named() -> None:
    without_labels = LABELS.sub("", DOCKERFILE)
    without_loopback = without_labels.replace("http://127.0.0.1:52365", "")
    assert ANYWHERE.search(without_loopback) is None


def test_base_and_indexes_are_arguments() -> None:
    assert "BASE=python:3.11-slim-bookworm" in of("", "ARG")
    assert 'INDEX=""' in of("tools", "ARG")
    assert 'TORCH_INDEX=""' in of("gpu-packages", "ARG")
    assert parents()["base"] == "${BASE}"


def test_whatever_asks_an_index_gets_its_credentials_as_a_secret() -> None:
    asking = [
        words
        for _, word, words in instructions()
        if word == "RUN" and " install " in words and "/bin/pip" in words
    ]
    assert len(asking) == 4
    for words in asking:
        secret = "--mount=type=secret,id=pip,target=/etc/pip.conf" in words
        assert secret or "--no-index" in words
        assert "-c /build/constraints.txt" in words or "--no-index" in words


def test_packages_come_before_the_code() -> None:
    """A change of the code leaves the layers of the packages as they are."""
    for stage in ("tools", "requirements", "cpu-packages", "gpu-packages"):
        copied = " ".join(of(stage, "COPY"))
        assert "serve_app" not in copied
        assert "deployments" not in copied
    for stage in ("cpu", "gpu"):
        sources = [words.split()[0] for words in of(stage, "COPY")]
        assert sources.index("--from=code") == len(sources) - 3
    assert of("runtime", "COPY")[-1].startswith("--from=cpu-packages")


def test_both_images_run_as_the_same_user_without_rights() -> None:
    assert parents()["cpu"] == parents()["gpu"] == "runtime"
    assert of("runtime", "USER") == ["10001:10001"]
    for stage in ("cpu", "gpu"):
        assert of(stage, "USER") == []
        assert of(stage, "RUN") == []


def test_torch_is_in_the_gpu_image_alone() -> None:
    assert requirements("image") == {"torch", "torchvision", "safetensors"}
    heavy = {"torch", "torchvision", "safetensors", "tensorflow", "keras", "matplotlib"}
    assert requirements() & heavy == set()
    assert "ray" in requirements()
    for stage, is_there in (("cpu", False), ("gpu", True)):
        copied = [words.split()[0] for words in of(stage, "COPY")]
        assert ("--from=gpu-packages" in copied) is is_there


def test_an_unknown_extra_is_an_error() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        requirements("unknown")


def test_nothing_but_what_the_images_are_made_of_is_sent_to_the_builder() -> None:
    ignored = (ROOT / "images" / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    lines = [line for line in ignored.splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    sent = {line.removeprefix("!") for line in lines if line.startswith("!")}
    needed = {
        source.split("/")[0]
        for _, word, words in instructions()
        if word == "COPY" and not words.startswith("--from")
        for source in words.split()[:-1]
    }
    assert sent == needed
