"""Models in a folder: what was exported is found again, and nothing else."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployments.registry import (
    BakedRegistry,
    DigestMismatch,
    MlflowRegistry,
    ModelNotFound,
    ModelVersion,
    Registry,
    RegistryError,
    open_registry,
)
from deployments.registry.baked import INDEX, Chosen, export

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Two versions of `faq` and one of `resnet152`."""
    data = tmp_path_factory.mktemp("source")
    registry = MlflowRegistry(f"sqlite:///{data}/registry.db", artifacts=data, cache=data)
    for name, content in (("faq", "one"), ("faq", "two"), ("resnet152", "weights")):
        folder = data / "trained"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "arrays").mkdir(parents=True)
        (folder / "model.json").write_text(content)
        (folder / "arrays" / "idf.npy").write_bytes(b"\0" * 10)
        registry.register(
            name,
            folder,
            metrics={"accuracy_at_1": 0.915},
            parameters={"seed": "0"},
            tags={"corpus_digest": f"of {content}"},
        )
    return registry


@pytest.fixture
def chosen(source: Registry) -> list[Chosen]:
    return [
        Chosen(source.version("faq", "1"), ("challenger",), "faq"),
        Chosen(source.resolve("faq"), ("champion", "newest"), "faq"),
        Chosen(source.resolve("resnet152"), ("champion",), "image"),
    ]


@pytest.fixture
def folder(source: Registry, chosen: list[Chosen], tmp_path: Path) -> Path:
    export(source, chosen, tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def baked(folder: Path) -> Registry:
    return open_registry(f"baked://{folder}", artifacts=folder / "unused", cache=folder / "unused")


def rewrite(folder: Path, change: dict[str, Any]) -> None:
    """Changes every entry of the index."""
    index = json.loads((folder / INDEX).read_bytes())
    index["versions"] = [{**entry, **change} for entry in index["versions"]]
    (folder / INDEX).write_text(json.dumps(index))


def test_a_version_keeps_number_digest_and_all_that_is_known(
    source: Registry, baked: Registry
) -> None:
    for name in ("faq", "resnet152"):
        original, copied = source.resolve(name), baked.resolve(name)
        assert replace(copied, source=original.source) == original
        assert copied.registered_s == original.registered_s is not None
        files = sorted(path.name for path in baked.fetch(copied).rglob("*") if path.is_file())
        assert files == ["idf.npy", "model.json"]


def test_versions_are_found_by_alias_number_and_tag(baked: Registry) -> None:
    assert baked.resolve("faq", "challenger").version == "1"
    assert baked.resolve("faq", "newest").version == "2"
    assert baked.version("faq", "1").alias == "challenger"
    assert [version.version for version in baked.versions("faq")] == ["2", "1"]
    found = baked.find("faq", tag="corpus_digest", value="of one")
    assert found is not None
    assert found.version == "1"
    assert baked.find("faq", tag="corpus_digest", value="of another") is None
    assert baked.versions("unknown") == []


def test_following_gives_what_is_known(baked: Registry) -> None:
    champion = baked.resolve("faq")
    assert baked.follow(champion, "champion") is champion
    assert baked.follow(champion, "challenger").version == "1"


def test_unknown_models_aliases_and_versions_are_not_found(baked: Registry) -> None:
    with pytest.raises(ModelNotFound, match="'unknown'"):
        baked.resolve("unknown")
    with pytest.raises(ModelNotFound, match="'other'"):
        baked.resolve("faq", "other")
    with pytest.raises(ModelNotFound, match="'9'"):
        baked.version("faq", "9")
    with pytest.raises(RegistryError, match="is no model name"):
        baked.resolve("../faq")


def test_nothing_can_be_changed(baked: Registry, folder: Path) -> None:
    with pytest.raises(RegistryError, match="cannot be changed"):
        baked.set_alias("faq", "champion", "1")
    with pytest.raises(RegistryError, match="build another image"):
        baked.register("faq", folder, metrics={}, parameters={}, tags={})
    assert baked.resolve("faq").version == "2"


def test_tampering_is_detected(baked: Registry) -> None:
    version = baked.resolve("faq")
    (baked.fetch(version) / "model.json").write_text("other weights")
    with pytest.raises(DigestMismatch):
        baked.fetch(version)


def test_a_group_that_an_image_leaves_out_is_known_but_cannot_be_fetched(
    baked: Registry, folder: Path
) -> None:
    shutil.rmtree(folder / "image")
    version = baked.resolve("resnet152")
    with pytest.raises(RegistryError, match="the files of resnet152 version 1"):
        baked.fetch(version)


def test_a_version_of_another_registry_is_not_fetched(baked: Registry) -> None:
    with pytest.raises(RegistryError, match="are not in"):
        baked.fetch(replace(baked.resolve("faq"), version="7"))


@pytest.mark.parametrize(
    "change", [{"path": "../models/faq/faq-1"}, {"path": "/etc"}, {"digest": "sha256:short"}]
)
def test_an_index_that_leads_elsewhere_is_refused(
    baked: Registry, folder: Path, change: dict[str, Any]
) -> None:
    rewrite(folder, change)
    with pytest.raises(RegistryError, match="wrong path or digest"):
        baked.resolve("faq")


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "no models are baked in"), ("{", "cannot be read"), ('{"format": 2}', "format 1")],
)
def test_without_a_readable_index_the_reason_is_said(
    baked: Registry, folder: Path, content: str | None, words: str
) -> None:
    if content is None:
        (folder / INDEX).unlink()
    else:
        (folder / INDEX).write_text(content)
    with pytest.raises(RegistryError, match=words):
        baked.resolve("faq")


@pytest.mark.parametrize("uri", ["baked:", "baked://", "baked:///", "baked://models"])
def test_a_uri_without_a_folder_is_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(RegistryError, match="baked models are in a folder"):
        open_registry(uri, artifacts=tmp_path, cache=tmp_path)


def test_one_alias_cannot_name_two_versions(source: Registry, tmp_path: Path) -> None:
    versions = source.versions("faq")
    with pytest.raises(RegistryError, match=r"versions 2 and 1 .* cannot both be the champion"):
        export(source, [Chosen(one, ("champion",), "faq") for one in versions], tmp_path / "models")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_whole_leaves_nothing(
    source: Registry, chosen: list[Chosen], tmp_path: Path
) -> None:
    gone = replace(chosen[0].version, source=(tmp_path / "gone").as_uri())
    with pytest.raises(RegistryError):
        export(source, [*chosen[1:], Chosen(gone, ("challenger",), "faq")], tmp_path / "models")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_not_overwritten(
    source: Registry, chosen: list[Chosen], folder: Path
) -> None:
    with pytest.raises(RegistryError, match="is there already"):
        export(source, chosen, folder)


def test_everybody_may_read_what_was_exported(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644)


def test_two_exports_of_the_same_are_the_same(
    source: Registry, chosen: list[Chosen], folder: Path, tmp_path: Path
) -> None:
    export(source, chosen, tmp_path / "again")
    assert (tmp_path / "again" / INDEX).read_bytes() == (folder / INDEX).read_bytes()


def test_a_replica_reads_it_without_mlflow_and_without_writing(folder: Path) -> None:
    uri = f"baked://{folder}"
    registry = open_registry(uri, artifacts=folder / "unused", cache=folder / "unused")
    assert isinstance(registry, BakedRegistry)
    program = (
        "import pickle, sys\n"
        "registry = pickle.loads(sys.stdin.buffer.read())\n"
        "print(registry.fetch(registry.resolve('faq')), 'mlflow' in sys.modules)"
    )
    before = sorted(os.walk(folder))
    ended = subprocess.run(
        [sys.executable, "-c", program],
        input=pickle.dumps(registry),
        capture_output=True,
        check=True,
        cwd=REPOSITORY,
    )
    assert ended.stdout.decode().split() == [str(folder / "faq" / "faq-2"), "False"]
    assert sorted(os.walk(folder)) == before


def test_a_version_travels_between_nodes(folder: Path, tmp_path: Path) -> None:
    """The head resolves it in its image, a worker fetches it from another one."""
    shutil.copytree(folder, tmp_path / "elsewhere")
    version: ModelVersion = BakedRegistry(folder).resolve("faq")
    fetched = BakedRegistry(tmp_path / "elsewhere").fetch(version)
    assert fetched == tmp_path / "elsewhere" / "faq" / "faq-2"
