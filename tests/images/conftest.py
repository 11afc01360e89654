"""One CPU image for all tests: building it is what takes the time."""

import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

import pytest

from serve_app.cli import main
from serve_app.models import registry_of
from serve_app.settings import Settings
from tests.deployments.faq.small import save_model, train_small
from tests.images import store as stores
from tests.images.store import BASE_IMAGE, BUILD_S, Store

VERSION = "1.2.3"
SECRET = "no-layer-may-know-this"
EPOCH = 1_700_000_000


@dataclass(frozen=True)
class Image:
    """A built image, its list of packages, and the models that went into it."""

    name: str
    sbom: Path
    models: Path


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    stores.need_tools()
    stores.make_base()
    with stores.opened(tmp_path_factory.mktemp("store")) as opened:
        yield opened


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 2 of `faq` is the champion, version 1 the challenger; and an image model.

    The manifest does not ask for that one: a cluster of CPU images has nobody to serve it.
    """
    work = tmp_path_factory.mktemp("models")
    registry = registry_of(Settings(data_dir=work / "data"))
    for number in (1, 2):
        # The versions have their AnswerIds in another order.
        model = save_model(work / str(number), train_small(first=number))
        registry.register("faq", model, metrics={}, parameters={}, tags={})
    registry.set_alias("faq", "challenger", "1")
    weights = work / "weights"
    weights.mkdir()
    (weights / "weights.bin").write_bytes(b"weights")
    parameters = {"preprocessing": "{}"}
    registry.register("mobilenet_v2", weights, metrics={}, parameters=parameters, tags={})
    chosen = ["--model", "faq", "--model", "faq@challenger", "--model", "mobilenet_v2"]
    folder = work / "exported"
    assert (
        main(["models", "export", "--to", str(folder), *chosen, f"data_dir={work / 'data'}"]) == 0
    )
    return folder


@pytest.fixture(scope="session")
def image(store: Store, models: Path) -> Image:
    """What `make images` builds with buildah."""
    made = Image(f"localhost/scoring-cpu:{VERSION}", store.folder / "sbom-cpu.cdx.json", models)
    build(store, made)
    return made


def build(store: Store, image: Image) -> None:
    """As the documentation says, on Debian's Python and this machine's package index."""
    pip_conf = store.folder / "pip.conf"
    pip_conf.write_text(_pip_configuration() + f"# {SECRET}\n")
    arguments = {
        "BUILDER": "buildah",
        "IMAGES": "cpu",
        "VERSION": VERSION,
        "SOURCE_DATE_EPOCH": str(EPOCH),
        "BASE": BASE_IMAGE,
        "MODELS": str(image.models),
        "PIP_CONF": str(pip_conf),
        "OUT": str(store.folder),
        "BUILD_ARGS": "--isolation chroot --network host",
    }
    words = [f"{name}={value}" for name, value in arguments.items()]
    store.run("make", "images", *words, timeout_s=BUILD_S)


def _pip_configuration() -> str:
    """Where this machine gets packages from: its own settings, but for folders on its disk."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    configuration = ConfigParser(interpolation=None)
    configuration["global"] = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        key = name.rpartition(".")[2]
        value = value.strip("'\"")
        is_index = key in ("index-url", "extra-index-url") and "file:" not in value
        if is_index or key in ("cert", "trusted-host", "timeout", "default-timeout"):
            configuration["global"][key] = value
    lines = [f"{key} = {value}" for key, value in configuration["global"].items()]
    return "\n".join(["[global]", *lines, ""])
