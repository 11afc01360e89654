"""`scoring models export`: which versions are written, under which aliases, and what is refused."""

import json
from pathlib import Path

import pytest

from deployments.registry import BakedRegistry, Registry
from serve_app.cli import main
from serve_app.models import PREPROCESSING, registry_of
from serve_app.settings import Settings
from tests.deployments.faq.small import save_model, train_small


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Two versions of a FAQ model, the first the challenger, and an image model."""
    folder = tmp_path_factory.mktemp("export")
    settings = Settings(data_dir=folder / "data")
    registry = registry_of(settings)
    ranker = train_small()
    for number in (1, 2):
        model = save_model(folder / str(number), ranker, None)
        registry.register("faq", model, metrics={}, parameters={}, tags={})
    registry.set_alias("faq", "challenger", "1")
    weights = folder / "weights"
    weights.mkdir()
    (weights / "weights.bin").write_bytes(b"weights")
    parameters = {PREPROCESSING: "{}"}
    registry.register("resnet152", weights, metrics={}, parameters=parameters, tags={})
    return settings


@pytest.fixture
def registry(settings: Settings) -> Registry:
    return registry_of(settings)


def export(settings: Settings, to: Path, *models: str, alias: str | None = None) -> int:
    options = [word for model in models for word in ("--model", model)]
    named = [] if alias is None else ["--alias", alias]
    data = f"data_dir={settings.data_dir}"
    return main(["models", "export", "--to", str(to), *options, *named, data])


def test_names_aliases_and_numbers_choose_versions(
    settings: Settings,
    registry: Registry,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    to = tmp_path / "models"
    assert export(settings, to, "faq", "faq@challenger", "resnet152@champion") == 0
    baked = BakedRegistry(to)
    assert baked.resolve("faq").version == "2"
    assert baked.resolve("faq", "challenger").version == "1"
    digest = registry.resolve("resnet152").digest
    assert capsys.readouterr().out.splitlines()[2] == f"resnet152 1 {digest} champion"


def test_a_version_by_its_number_gets_the_alias_that_is_served(
    settings: Settings, tmp_path: Path
) -> None:
    assert export(settings, tmp_path / "a", "faq@1") == 0
    assert BakedRegistry(tmp_path / "a").resolve("faq").version == "1"
    assert export(settings, tmp_path / "b", "faq@1", alias="previous") == 0
    assert BakedRegistry(tmp_path / "b").resolve("faq", "previous").version == "1"


def test_image_models_are_a_group_of_their_own(settings: Settings, tmp_path: Path) -> None:
    assert export(settings, tmp_path / "models", "faq", "resnet152") == 0
    folders = sorted(path.name for path in (tmp_path / "models").iterdir() if path.is_dir())
    assert folders == ["faq", "image"]
    index = json.loads((tmp_path / "models" / "index.json").read_bytes())
    assert [entry["path"] for entry in index["versions"]] == ["faq/faq-2", "image/resnet152-1"]


def test_a_digest_pins_the_version(settings: Settings, registry: Registry, tmp_path: Path) -> None:
    digest = registry.resolve("faq").digest
    assert export(settings, tmp_path / "models", f"faq@2@{digest}") == 0


@pytest.mark.parametrize(
    ("models", "words"),
    [
        (["faq@2@sha256:0"], "its digest is sha256:"),
        (["faq@9"], "no version '9'"),
        (["faq@unknown"], "alias 'unknown'"),
        (["../faq"], "is no model name"),
        (["faq@1", "faq@champion"], "cannot both be the champion"),
    ],
)
def test_what_is_not_there_or_contradicts_is_refused(
    settings: Settings,
    tmp_path: Path,
    models: list[str],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert export(settings, tmp_path / "models", *models) == 1
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
