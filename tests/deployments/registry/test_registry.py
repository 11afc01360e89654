"""The registry on a real SQLite file, and on a server that speaks MLflow's protocol."""

from __future__ import annotations

import json
import pickle
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deployments.registry import (
    DigestMismatch,
    MlflowRegistry,
    ModelNotFound,
    ModelVersion,
    Registry,
    RegistryError,
    folder_digest,
)
from tests.deployments.registry.server import FakeServer, running

REPOSITORY = Path(__file__).parents[3]


def make_folder(folder: Path, content: str = "weights") -> Path:
    (folder / "arrays").mkdir(parents=True, exist_ok=True)
    (folder / "model.json").write_text(content)
    (folder / "arrays" / "idf.npy").write_bytes(bytes(range(256)))
    return folder


def register(registry: Registry, folder: Path, *, name: str = "faq", **tags: str) -> ModelVersion:
    metrics = {"accuracy_at_1": 0.915}
    return registry.register(name, folder, metrics=metrics, parameters={"seed": "0"}, tags=tags)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables: creating them takes longer than every test with them."""
    data = tmp_path_factory.mktemp("registry")
    registry = MlflowRegistry(f"sqlite:///{data}/registry.db", artifacts=data, cache=data)
    assert registry.versions("faq") == []
    return data / "registry.db"


@pytest.fixture
def local(empty_database: Path, tmp_path: Path) -> Registry:
    shutil.copy(empty_database, tmp_path / "registry.db")
    return beside(tmp_path)


def beside(data: Path, cache: str = "cache") -> Registry:
    uri = f"sqlite:///{data}/registry.db"
    return MlflowRegistry(uri, artifacts=data / "models", cache=data / cache)


@pytest.fixture(params=[True, False], ids=["aliases", "no-aliases"])
def server(request: pytest.FixtureRequest) -> FakeServer:
    return FakeServer(aliases=request.param)


@pytest.fixture
def remote(server: FakeServer, tmp_path: Path) -> Iterator[Registry]:
    with running(server) as uri:
        yield MlflowRegistry(uri, artifacts=tmp_path / "unused", cache=tmp_path / "cache")


def test_what_was_registered_is_resolved_and_fetched(local: Registry, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "trained")
    made = register(local, folder, corpus_digest="sha256:c0")
    assert made == local.resolve("faq")
    assert made == ModelVersion(
        name="faq",
        version="1",
        digest=folder_digest(folder),
        alias="champion",
        source=made.source,
        metrics={"accuracy_at_1": 0.915},
        parameters={"seed": "0"},
        tags={"corpus_digest": "sha256:c0"},
    )
    shutil.rmtree(folder)
    fetched = local.fetch(made)
    assert fetched.is_relative_to(tmp_path / "models")
    assert (fetched / "model.json").read_text() == "weights"


def test_artifact_carries_a_model_file_that_names_nothing_to_run(
    local: Registry, tmp_path: Path
) -> None:
    fetched = local.fetch(register(local, make_folder(tmp_path / "trained")))
    assert not (tmp_path / "trained" / "MLmodel").exists()
    described = yaml.safe_load((fetched / "MLmodel").read_text())
    assert described["flavors"] == {"realtime_scoring": {"digest": folder_digest(fetched)}}


def test_alias_moves_with_each_registration_and_by_hand(local: Registry, tmp_path: Path) -> None:
    first = register(local, make_folder(tmp_path / "one", "one"))
    second = register(local, make_folder(tmp_path / "two", "two"))
    assert local.resolve("faq") == second
    local.set_alias("faq", "champion", first.version)
    assert local.resolve("faq") == first
    local.set_alias("faq", "challenger", second.version)
    assert local.resolve("faq", "challenger").version == second.version
    listed = [(version.version, version.alias) for version in local.versions("faq")]
    assert listed == [("2", "challenger"), ("1", "champion")]


def test_find_gives_the_newest_with_the_tag(local: Registry, tmp_path: Path) -> None:
    for corpus in ("a", "b", "a", "c"):
        register(local, make_folder(tmp_path / corpus, corpus), corpus_digest=corpus)
    found = local.find("faq", tag="corpus_digest", value="a")
    assert found is not None
    assert (found.version, found.alias) == ("3", None)
    assert local.find("faq", tag="corpus_digest", value="d") is None
    assert local.find("other", tag="corpus_digest", value="a") is None


def test_version_by_number(local: Registry, tmp_path: Path) -> None:
    first = register(local, make_folder(tmp_path / "one", "one"))
    register(local, make_folder(tmp_path / "two", "two"))
    assert local.version("faq", "1").identity == first.identity
    for number in ("3", "", "one"):
        with pytest.raises(ModelNotFound, match="no version"):
            local.version("faq", number)


def test_following_an_alias_of_a_local_registry(local: Registry, tmp_path: Path) -> None:
    first = register(local, make_folder(tmp_path / "one", "one"))
    assert local.follow(first, "champion") is first
    second = register(local, make_folder(tmp_path / "two", "two"))
    assert local.follow(first, "champion") == second
    assert local.follow(second, "champion") is second
    with pytest.raises(ModelNotFound, match="'challenger'"):
        local.follow(second, "challenger")


def test_unknown_models_aliases_and_versions_are_not_found(local: Registry, tmp_path: Path) -> None:
    made = register(local, make_folder(tmp_path / "trained"))
    with pytest.raises(ModelNotFound, match="'faq' has the alias 'challenger'"):
        local.resolve("faq", "challenger")
    with pytest.raises(ModelNotFound, match="'resnet152'"):
        local.resolve("resnet152")
    with pytest.raises(ModelNotFound, match="no version '7'"):
        local.set_alias("faq", "champion", "7")
    assert local.resolve("faq") == made
    assert local.versions("resnet152") == []


def test_absent_registry_has_nothing_and_is_not_created_by_asking(tmp_path: Path) -> None:
    registry = beside(tmp_path)
    with pytest.raises(ModelNotFound):
        registry.resolve("faq")
    assert registry.find("faq", tag="corpus_digest", value="a") is None
    assert not (tmp_path / "registry.db").exists()


@pytest.mark.parametrize(
    "name", ["", "faq/1", "a:b", "../faq", "-faq", "f'aq", "fä", "a" * 201, "a\n"]
)
def test_odd_model_names_are_refused(local: Registry, tmp_path: Path, name: str) -> None:
    with pytest.raises(RegistryError, match="is no model name"):
        register(local, make_folder(tmp_path / "trained"), name=name)
    with pytest.raises(RegistryError, match="is no model name"):
        local.resolve(name)


@pytest.mark.parametrize("alias", ["", "latest", "v1", "V2", "a b", "1st", "a.b"])
def test_odd_aliases_are_refused(local: Registry, alias: str) -> None:
    with pytest.raises(RegistryError, match="is no alias"):
        local.resolve("faq", alias)


@pytest.mark.parametrize("tag", ["digest", "alias.champion"])
def test_tags_of_the_registry_itself_are_refused(local: Registry, tmp_path: Path, tag: str) -> None:
    with pytest.raises(RegistryError, match="registry's own"):
        register(local, make_folder(tmp_path / "trained"), **{tag: "forged"})


def test_refused_registration_leaves_no_version(local: Registry, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "trained")
    with pytest.raises(RegistryError, match="refused"):
        local.register("faq", folder, metrics={"a?b": 1.0}, parameters={}, tags={})
    assert local.versions("faq") == []
    with pytest.raises(RegistryError, match="not a folder with files"):
        register(local, tmp_path / "absent")
    assert local.versions("faq") == []


def test_tampering_is_detected(local: Registry, tmp_path: Path) -> None:
    made = register(local, make_folder(tmp_path / "trained"))
    (local.fetch(made) / "arrays" / "idf.npy").write_bytes(bytes(256))
    with pytest.raises(DigestMismatch, match=made.digest):
        local.fetch(made)
    shutil.rmtree(tmp_path / "models")
    with pytest.raises(DigestMismatch, match="not a folder with files"):
        local.fetch(made)


def test_same_content_again_repairs_what_was_damaged(local: Registry, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "trained")
    made = register(local, folder)
    (local.fetch(made) / "model.json").write_text("damaged")
    again = register(local, folder)
    assert (again.version, again.source) == ("2", made.source)
    assert (local.fetch(made) / "model.json").read_text() == "weights"


def test_answers_are_remembered_until_the_database_changes(local: Registry, tmp_path: Path) -> None:
    first = register(local, make_folder(tmp_path / "one", "one"))
    answers = tmp_path / "cache" / "answers.json"
    assert local.resolve("faq") == first
    remembered = answers.read_bytes()
    assert local.resolve("faq") == first
    assert answers.read_bytes() == remembered
    elsewhere = beside(tmp_path, cache="other-cache")
    second = register(elsewhere, make_folder(tmp_path / "two", "two"))
    assert local.resolve("faq") == second
    with pytest.raises(ModelNotFound):
        local.resolve("faq", "challenger")
    elsewhere.set_alias("faq", "challenger", "1")
    assert local.resolve("faq", "challenger").version == "1"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"state": "x"}', '{"state": 1, "answers": 2}'])
def test_unreadable_memory_is_asked_again(local: Registry, tmp_path: Path, content: str) -> None:
    made = register(local, make_folder(tmp_path / "trained"))
    answers = tmp_path / "cache" / "answers.json"
    answers.write_text(content)
    assert local.resolve("faq") == made


def test_memory_of_another_release_is_asked_again(local: Registry, tmp_path: Path) -> None:
    made = register(local, make_folder(tmp_path / "trained"))
    answers = tmp_path / "cache" / "answers.json"
    kept = json.loads(answers.read_text())
    kept["answers"] = {question: {"old_field": 1} for question in kept["answers"]}
    answers.write_text(json.dumps(kept))
    assert local.resolve("faq") == made


def test_file_that_is_no_database_is_said_so_at_once(tmp_path: Path) -> None:
    (tmp_path / "registry.db").write_text("no database, but long enough to be taken for one" * 20)
    with pytest.raises(RegistryError, match="cannot be used: file is not a database"):
        beside(tmp_path).versions("faq")


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///:memory:", "sqlite:registry.db"])
def test_registry_in_memory_is_refused(tmp_path: Path, uri: str) -> None:
    with pytest.raises(RegistryError, match="is a file"):
        MlflowRegistry(uri, artifacts=tmp_path, cache=tmp_path)


NO_MLFLOW = """
import pickle, sys
registry, version = pickle.load(sys.stdin.buffer)
assert registry.resolve("faq") == version
assert registry.find("faq", tag="corpus_digest", value="a") == version
print(registry.fetch(version))
assert "mlflow" not in sys.modules
"""


def test_second_start_needs_no_mlflow(local: Registry, tmp_path: Path) -> None:
    """Pickled as for a replica, asked again what the first start asked before it registered."""
    assert local.find("faq", tag="corpus_digest", value="a") is None
    made = register(local, make_folder(tmp_path / "trained"), corpus_digest="a")
    done = subprocess.run(
        [sys.executable, "-c", NO_MLFLOW],
        input=pickle.dumps((local, made)),
        capture_output=True,
        cwd=REPOSITORY,
        timeout=60,
        check=False,
    )
    assert done.stderr == b""
    assert done.stdout.decode().strip() == str(local.fetch(made))


FOLLOW = """
import pickle, sys
registry, known = pickle.load(sys.stdin.buffer)
print(registry.follow(known, "champion").version)
assert "mlflow" not in sys.modules
"""


def test_following_needs_no_mlflow_whoever_moved_the_alias(local: Registry, tmp_path: Path) -> None:
    first = register(local, make_folder(tmp_path / "one", "one"))
    # What another cache remembers is unknown here, as where MLflow's own tools moved the alias.
    register(beside(tmp_path, cache="other-cache"), make_folder(tmp_path / "two", "two"))
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", FOLLOW],
            input=pickle.dumps((local, first)),
            capture_output=True,
            cwd=REPOSITORY,
            timeout=60,
            check=False,
        )
        assert (done.stderr, done.stdout) == (b"", b"2\n")


def test_following_a_registry_that_is_broken(local: Registry, tmp_path: Path) -> None:
    made = register(local, make_folder(tmp_path / "trained"))
    (tmp_path / "registry.db").write_bytes(b"no database, but long enough to be taken for one" * 20)
    with pytest.raises(RegistryError, match="file is not a database"):
        local.follow(made, "champion")


def test_two_processes_create_one_registry_and_say_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(REPOSITORY)}
    processes = []
    for content in ("one", "two"):
        folder = make_folder(tmp_path / content, content)
        command = [sys.executable, "-m", "tests.deployments.registry.process"]
        command += [f"sqlite:///{tmp_path}/data/registry.db", str(tmp_path / "data")]
        command += ["faq", str(folder)]
        process = subprocess.Popen(
            command,
            cwd=home,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [errors for _, errors in outputs] == ["", ""]
    assert sorted(printed.split()[0] for printed, _ in outputs) == ["1", "2"]
    seen = beside(tmp_path / "data", cache="other-cache").versions("faq")
    assert {version.digest for version in seen} == {
        folder_digest(tmp_path / "one"),
        folder_digest(tmp_path / "two"),
    }
    assert list(home.iterdir()) == []
    known = {"registry.db", ".registry.db.lock", "models", "cache", "other-cache"}
    assert {path.name for path in (tmp_path / "data").iterdir()} <= known


def test_server_keeps_versions_and_artifacts(
    remote: Registry, server: FakeServer, tmp_path: Path
) -> None:
    folder = make_folder(tmp_path / "trained")
    made = register(remote, folder, corpus_digest="a")
    assert made == remote.resolve("faq")
    assert made == remote.find("faq", tag="corpus_digest", value="a")
    assert (made.alias, made.metrics, made.tags) == (
        "champion",
        {"accuracy_at_1": 0.915},
        {"corpus_digest": "a"},
    )
    assert [run["info"]["status"] for run in server.runs.values()] == ["FINISHED"]
    fetched = remote.fetch(made)
    downloads = server.downloads
    assert fetched == remote.fetch(made)
    assert server.downloads == downloads
    assert folder_digest(fetched) == made.digest
    assert (fetched / "MLmodel").exists()


def test_alias_moves_on_a_server_with_and_without_aliases(remote: Registry, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        remote.resolve("faq")
    for content in ("one", "two", "three"):
        register(remote, make_folder(tmp_path / content, content))
    assert remote.resolve("faq").version == "3"
    remote.set_alias("faq", "champion", "1")
    assert remote.resolve("faq").version == "1"
    aliases = [(version.version, version.alias) for version in remote.versions("faq")]
    assert aliases == [("3", None), ("2", None), ("1", "champion")]
    with pytest.raises(ModelNotFound):
        remote.resolve("faq", "challenger")
    with pytest.raises(ModelNotFound):
        remote.set_alias("faq", "champion", "9")


def test_following_an_alias_of_a_server(
    remote: Registry, server: FakeServer, tmp_path: Path
) -> None:
    first = register(remote, make_folder(tmp_path / "one", "one"))
    second = register(remote, make_folder(tmp_path / "two", "two"))
    assert remote.follow(first, "champion") == second
    # While nothing has changed, the run behind the version is not asked for.
    del server.requests["GET runs/get"]
    assert remote.follow(second, "champion") is second
    with pytest.raises(ModelNotFound):
        remote.follow(second, "challenger")


@pytest.mark.parametrize("server", [False], indirect=True)
def test_tag_set_last_counts_where_an_old_one_was_not_removed(
    remote: Registry, server: FakeServer, tmp_path: Path
) -> None:
    del server.requests["DELETE model-versions/delete-tag"]
    register(remote, make_folder(tmp_path / "one", "one"))
    with pytest.raises(RegistryError, match="refused"):
        register(remote, make_folder(tmp_path / "two", "two"))
    assert remote.resolve("faq").version == "2"


@pytest.mark.parametrize("server", [True], indirect=True)
def test_truncated_download_is_refused_and_leaves_nothing(
    remote: Registry, server: FakeServer, tmp_path: Path
) -> None:
    made = register(remote, make_folder(tmp_path / "trained"))
    server.truncates_downloads = True
    with pytest.raises(DigestMismatch):
        remote.fetch(made)
    assert [path for path in (tmp_path / "cache").iterdir() if path.is_dir()] == []
    server.truncates_downloads = False
    assert folder_digest(remote.fetch(made)) == made.digest


@pytest.mark.parametrize("server", [True], indirect=True)
def test_file_names_that_mlflow_would_change_are_refused(remote: Registry, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "trained")
    (folder / "50%.npy").write_bytes(b"")
    with pytest.raises(RegistryError, match="50%"):
        register(remote, folder)
    assert remote.versions("faq") == []


def test_server_that_is_down_is_an_error_soon(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(RegistryError, match="refused"):
            MlflowRegistry(uri, artifacts=tmp_path, cache=tmp_path).resolve("faq")
