"""The cluster that the end-to-end test runs on; a visible skip where there is none."""

import json
import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kuberay.rollout import Rollout, View
from serve_app.access.caller import Scope
from serve_app.access.key_changes import add, new_key
from serve_app.access.key_file import KeyFile
from tests.kuberay.cluster.cluster import ApiKubelet, Cluster
from tests.kuberay.cluster.objects import Credentials, Objects
from tests.kuberay.cluster.preconditions import (
    CannotTest,
    check,
    chosen,
    connected,
    operator_namespace,
)
from tests.kuberay.cluster.scenario import Scenario
from tests.kuberay.cluster.settings import SettingsWrong, TestSettings, new_namespace, read

RESULTS = pytest.StashKey[dict[str, str]]()
KEY_LIFE = timedelta(days=1)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """What was lost, and what was not."""
    if found := config.stash.get(RESULTS, {}):
        terminalreporter.section("load on the cluster")
        for during, result in found.items():
            terminalreporter.write_line(f"{during}: {result}")


class Narrator:
    """Says how a rollout goes (`pytest -s`)."""

    def step(self, text: str) -> None:
        """Says it."""
        print(f"{datetime.now(UTC):%H:%M:%S} {text}")

    def view(self, view: View) -> None:
        """Says nothing: there are many."""


def new_credentials() -> Credentials:
    """A key that is valid for a day, in no file of this machine."""
    key, text = new_key(
        name="end-to-end test",
        scopes=[Scope.FAQ],
        now=datetime.now(UTC).replace(microsecond=0),
        lifetime=KEY_LIFE,
        quota=None,
    )
    file = add(KeyFile(), key)
    return Credentials(text, file.model_dump_json(), secrets.token_hex(16))


@pytest.fixture(scope="session")
def settings(request: pytest.FixtureRequest) -> TestSettings:
    """Of the environment; skips where there is no cluster to test on."""
    try:
        chosen(request.config.option.markexpr, tuple(os.environ))
        return read(os.environ)
    except (CannotTest, SettingsWrong) as error:
        return unable(str(error))


@pytest.fixture(scope="session")
def scenario(
    settings: TestSettings,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scenario]:
    """The service, installed; all of it goes afterwards, whatever became of it."""
    namespace = settings.namespace or new_namespace()
    try:
        api = connected()
        check(api, settings, namespace)
        operator = operator_namespace(api, settings)
    except CannotTest as error:
        unable(str(error))
    credentials = new_credentials()
    folder: Path = tmp_path_factory.mktemp("overlay")
    scenario = Scenario(
        settings,
        credentials,
        Objects(settings, credentials, namespace, operator, folder),
        Cluster(api, namespace, settings.limit_s, ApiKubelet(api, namespace)),
        Rollout(api, namespace=namespace, observer=Narrator()),
    )
    try:
        scenario.install()
        yield scenario
    finally:
        request.config.stash[RESULTS] = {
            during: str(result) for during, result in scenario.results.items()
        }
        if settings.keep:
            print(f"SCORING_TEST_KEEP=1: the namespace {namespace} is left")
        else:
            scenario.cluster.clean_up()
        api.close()


@pytest.fixture
def explained(scenario: Scenario) -> Iterator[None]:
    """After a step, what the cluster shows; pytest prints it where the step failed."""
    yield
    print(json.dumps(scenario.rollout.status().as_dict(), indent=1, default=str))


def unable(why: str) -> TestSettings:
    """Skips; with SCORING_TEST_STRICT=1 fails."""
    if os.environ.get("SCORING_TEST_STRICT") == "1":
        pytest.fail(why, pytrace=False)
    pytest.skip(why)
