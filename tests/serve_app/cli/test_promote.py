"""`scoring faq promote`: what is moved, and what is refused before anything moves."""

from pathlib import Path

import pytest

from deployments.registry import Registry
from serve_app.cli import main
from serve_app.models import registry_of
from serve_app.settings import Settings
from tests.deployments.faq.small import WRONG, save_model, train_small


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A registry with a good version 1, a version 2 with wrong known questions, and a version 3."""
    folder = tmp_path_factory.mktemp("promote")
    settings = Settings(data_dir=folder / "data")
    registry = registry_of(settings)
    ranker = train_small()
    for number, known in ((1, None), (2, WRONG), (3, None)):
        model = save_model(folder / str(number), ranker, known)
        registry.register("faq", model, metrics={}, parameters={}, tags={}, alias="candidate")
    registry.set_alias("faq", "champion", "3")
    return settings


@pytest.fixture
def registry(settings: Settings) -> Registry:
    return registry_of(settings)


def promote(settings: Settings, *arguments: str) -> int:
    return main(["faq", "promote", *arguments, f"data_dir={settings.data_dir}"])


def test_a_good_version_gets_the_alias(
    settings: Settings, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert promote(settings, "faq", "1") == 0
    assert registry.resolve("faq").version == "1"
    assert "faq version 1 (sha256:" in capsys.readouterr().out


def test_another_alias_may_be_named(settings: Settings, registry: Registry) -> None:
    assert promote(settings, "faq", "1", "--alias", "challenger") == 0
    assert registry.resolve("faq", "challenger").version == "1"
    assert promote(settings, "faq", "3", "faq.alias=second") == 0
    assert registry.resolve("faq", "second").version == "3"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["faq", "2"], "expected AnswerId 'A9'"),
        (["faq", "9"], "no version '9'"),
        (["other", "1"], "no version '1'"),
        (["faq", "1", "--alias", "latest"], "is no alias"),
        (["../faq", "1"], "is no model name"),
    ],
)
def test_what_is_refused_moves_nothing(
    settings: Settings,
    registry: Registry,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    before = [(version.version, version.alias) for version in registry.versions("faq")]
    assert promote(settings, *arguments) == 1
    error = capsys.readouterr().err
    assert words in error
    assert "was not moved" in error
    assert [(version.version, version.alias) for version in registry.versions("faq")] == before


def test_a_damaged_artifact_is_refused(
    settings: Settings, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.set_alias("faq", "champion", "1")
    damaged = Path(registry.version("faq", "2").source.removeprefix("file://")) / "model.json"
    content = damaged.read_text()
    damaged.write_text(content + " ")
    try:
        assert promote(settings, "faq", "2") == 1
    finally:
        damaged.write_text(content)
    assert "not the one that was registered" in capsys.readouterr().err
    assert registry.resolve("faq").version == "1"
