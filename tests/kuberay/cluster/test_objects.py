"""What the end-to-end test applies: every object as the cluster would take it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from kuberay.manifests.objects import Object
from tests.kuberay.cluster.conftest import new_credentials
from tests.kuberay.cluster.objects import CLIENT, LOAD, PROBE, ROUND, Objects, Version, probed
from tests.kuberay.cluster.settings import TestSettings
from tests.kuberay.validation.problems import problems

IMAGE = "registry.example/scoring-cpu:1"
WAYS = [
    TestSettings(IMAGE),
    TestSettings(IMAGE, namespace="mine", pull_secret="pull", pull_policy="Always"),
    TestSettings(IMAGE, store="volume", storage_class="fast"),
]


def objects(settings: TestSettings, folder: Path) -> Objects:
    namespace = settings.namespace or "scoring-test-1"
    return Objects(settings, new_credentials(), namespace, "ray-system", folder)


def service(found: tuple[Object, ...]) -> Object:
    return next(each for each in found if each["kind"] == "RayService")


def spec(found: tuple[Object, ...]) -> Object:
    cluster: Object = service(found)["spec"]["rayClusterConfig"]
    return cluster


@pytest.mark.parametrize("settings", WAYS, ids=["fresh", "given", "volume"])
def test_a_cluster_would_take_every_object(settings: TestSettings, tmp_path: Path) -> None:
    made = objects(settings, tmp_path)
    pods = [made.load(), made.probe(CLIENT, [("10.0.0.1", 8000)])]
    everything = [*made.service(Version(IMAGE)), *made.surroundings(), *pods]
    external = frozenset({f"Secret/{settings.namespace}/pull", "StorageClass/fast"})
    assert problems(everything, external=external) == []


def test_every_namespaced_object_is_in_the_namespace(tmp_path: Path) -> None:
    made = objects(WAYS[0], tmp_path)
    everything = [*made.service(Version(IMAGE)), *made.surroundings(), made.load()]
    namespaces = {each["metadata"].get("namespace") for each in everything}
    assert namespaces == {"scoring-test-1", None}
    wide = {each["kind"] for each in everything if "namespace" not in each["metadata"]}
    assert wide == {"Namespace", "PriorityClass"}


def test_a_changed_setting_changes_the_serve_config_alone(tmp_path: Path) -> None:
    made = objects(WAYS[0], tmp_path)
    before = made.service(Version(IMAGE))
    after = made.service(Version(IMAGE, application={"http": {"docs": "off"}}))
    assert spec(before) == spec(after)
    config = yaml.safe_load(service(after)["spec"]["serveConfigV2"])
    assert config["applications"][0]["args"]["http.docs"] == "off"


def test_another_round_changes_the_pods_alone(tmp_path: Path) -> None:
    made = objects(WAYS[0], tmp_path)
    before, after = made.service(Version(IMAGE)), made.service(Version(IMAGE, round=2))
    assert service(before)["spec"]["serveConfigV2"] == service(after)["spec"]["serveConfigV2"]
    assert spec(before) != spec(after)
    changed = json.dumps(spec(after)).replace(
        json.dumps({"name": ROUND, "value": "2"}), json.dumps({"name": ROUND, "value": "1"})
    )
    assert json.loads(changed) == spec(before)


def test_each_container_has_the_image_the_policy_and_the_secret(tmp_path: Path) -> None:
    found = spec(objects(WAYS[1], tmp_path).service(Version("other:2")))
    for group in (found["headGroupSpec"], *found["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        assert pod["imagePullSecrets"] == [{"name": "pull"}]
        for container in (*pod["initContainers"], *pod["containers"]):
            assert container["image"] == "other:2"
            assert container["imagePullPolicy"] == "Always"


def test_no_key_is_in_a_pod(tmp_path: Path) -> None:
    credentials = new_credentials()
    made = Objects(WAYS[0], credentials, "n", "o", tmp_path)
    secrets = [each for each in made.surroundings() if each["kind"] == "Secret"]
    others = [each for each in made.surroundings() if each["kind"] != "Secret"]
    text = json.dumps([*made.service(Version(IMAGE)), *others, made.load()])
    assert credentials.key in json.dumps(secrets)
    for secret in (credentials.key, credentials.store_password):
        assert secret not in text
    assert credentials.key not in credentials.key_file


def test_the_load_goes_through_the_service_and_keeps_nothing_alive_for_long(
    tmp_path: Path,
) -> None:
    pod = objects(WAYS[0], tmp_path).load()
    words = pod["spec"]["containers"][0]["command"]
    assert words[words.index("--url") + 1] == "http://scoring-serve-svc:8000"
    assert "--connection-life" in words
    assert words[words.index("--json") + 1] == "-"
    assert pod["metadata"]["name"] == LOAD


def test_the_load_is_a_command_that_scoring_knows(tmp_path: Path) -> None:
    words = objects(WAYS[0], tmp_path).load()["spec"]["containers"][0]["command"]
    words[words.index("--url") + 1] = "http://127.0.0.1:9"  # nobody is there
    done = subprocess.run(
        [sys.executable, "-m", "serve_app.cli", *words[1:]],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "unreachable" in done.stderr


def test_a_probe_says_what_came_of_each_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = json.dumps([["127.0.0.1", 9], ["$SOMEWHERE", 9]])
    monkeypatch.setenv("SOMEWHERE", "127.0.0.1")
    done = subprocess.run(
        [sys.executable, "-c", PROBE, targets], capture_output=True, text=True, check=True
    )
    assert probed(done.stdout) == {
        "127.0.0.1:9": "ConnectionRefusedError",
        "$SOMEWHERE:9": "ConnectionRefusedError",
    }
