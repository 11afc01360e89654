"""Which versions are served where the registry cannot be added to."""

from pathlib import Path

import pytest

from deployments.registry.baked import Chosen, export
from serve_app.cli import main
from serve_app.configuration import configure
from serve_app.models import Missing, PreparationFailed, prepare, registry_of
from serve_app.settings import Settings
from tests.deployments.faq.small import save_model, train_small


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A FAQ model, baked."""
    work = tmp_path_factory.mktemp("baked")
    registry = registry_of(Settings(data_dir=work / "data"))
    model = save_model(work / "model", train_small(), None)
    made = registry.register("faq", model, metrics={}, parameters={}, tags={})
    export(registry, [Chosen(made, ("champion",), "faq")], work / "models")
    return work / "models"


def given(folder: Path, tmp_path: Path, **more: str) -> dict[str, str]:
    return {"data_dir": str(tmp_path / "data"), "registry.uri": f"baked://{folder}", **more}


def test_the_baked_model_is_served_and_the_absent_one_said_to_be_missing(
    folder: Path, tmp_path: Path
) -> None:
    models = prepare(configure(given(folder, tmp_path), environment={}))
    assert (models.faq.name, models.faq.version) == ("faq", "1")
    assert isinstance(models.image, Missing)
    assert "'resnet152' with the alias 'champion' is baked" in models.image.reason
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "more", [{"faq.alias": "other"}, {"faq.model": "other"}, {"faq.corpus": "CORPUS"}]
)
def test_a_question_model_that_is_not_baked_is_not_trained(
    folder: Path, tmp_path: Path, more: dict[str, str]
) -> None:
    corpus = Path(__file__).parents[2] / "deployments" / "faq" / "javascript"
    more = {key: value.replace("CORPUS", str(corpus)) for key, value in more.items()}
    with pytest.raises(PreparationFailed, match="is not registered"):
        prepare(configure(given(folder, tmp_path, **more), environment={}))
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "command",
    [["faq", "train"], ["faq", "promote", "faq", "1"], ["image", "register"], ["prepare"]],
)
def test_commands_that_would_change_it_say_that_they_cannot(
    folder: Path, tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    settings = [f"{key}={value}" for key, value in given(folder, tmp_path).items()]
    assert main([*command, *settings]) == 1
    assert "are baked into the image and cannot be changed" in capsys.readouterr().err
