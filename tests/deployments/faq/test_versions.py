"""Which versions are taken and which are refused."""

from pathlib import Path

import pytest

from deployments.contracts import Question
from deployments.faq.versions import VersionRefused, load_version
from deployments.registry import ModelVersion, RegistryError
from tests.deployments.faq.small import QUESTIONS, WRONG, FakeRegistry, save_model, train_small


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"), train_small())


def test_a_good_version_answers_under_its_name(trained: Path) -> None:
    registry = FakeRegistry([trained])
    loaded = load_version(registry, registry.versions[0])
    batch = loaded.scorer.rank([Question(QUESTIONS[1], 1)])
    assert batch.model == loaded.version.identity == registry.versions[0].identity
    assert b"A1" in batch.rankings[0].matches


def test_a_version_without_known_questions_passes_with_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_model(tmp_path, train_small())
    (tmp_path / "known.json").unlink()
    registry = FakeRegistry([tmp_path])
    load_version(registry, registry.versions[0])
    assert "faq version 1 has no known questions" in caplog.text


def test_refusals_name_the_version_and_keep_details_from_clients(tmp_path: Path) -> None:
    ranker = train_small()
    folders = [tmp_path / name for name in ("gone", "broken", "malformed", "wrong")]
    for folder in folders[1:]:
        save_model(folder, ranker, WRONG if folder.name == "wrong" else None)
    (folders[1] / "model.json").write_text("{}")
    (folders[2] / "known.json").write_text("{}")
    registry = FakeRegistry(folders)
    words = ["not the one that was registered", "no model", "no model", "known questions"]
    for version, word in zip(registry.versions, words, strict=True):
        with pytest.raises(VersionRefused, match=f"faq version {version.version}") as refused:
            load_version(registry, version)
        assert word in refused.value.reason
        assert str(tmp_path) not in refused.value.reason
    assert "expected AnswerId 'A9'" in str(refused.value)


class Unreachable:
    def fetch(self, version: ModelVersion) -> Path:
        raise RegistryError("no route")


class Surprising:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fetch(self, version: ModelVersion) -> Path:
        (self._folder / "known.json").mkdir()
        return self._folder


def test_a_registry_that_does_not_answer_is_no_refusal(trained: Path) -> None:
    version = FakeRegistry([trained]).versions[0]
    with pytest.raises(RegistryError, match="no route"):
        load_version(Unreachable(), version)


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    train_small().save(tmp_path)
    with pytest.raises(VersionRefused, match="cannot be read"):
        load_version(Surprising(tmp_path), FakeRegistry([tmp_path]).versions[0])
