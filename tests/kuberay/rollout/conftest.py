"""An API server, an operator, and the rollouts of a service on them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kuberay.rollout import Api, ApplyOptions, Rollout, Smoke, View, connect
from tests.kuberay.rollout.api_server import ApiServer
from tests.kuberay.rollout.kuberay_operator import Operator


@dataclass
class Recorder:
    """Remembers what it is shown."""

    steps: list[str] = field(default_factory=list)
    views: list[View] = field(default_factory=list)

    def step(self, text: str) -> None:
        """Remembers the step."""
        self.steps.append(text)

    def view(self, view: View) -> None:
        """Remembers the view, where it is another one."""
        if not self.views or self.views[-1] != view:
            self.views.append(view)

    def said(self, part: str) -> bool:
        """Whether a step had these words."""
        return any(part in step for step in self.steps)


OPTIONS = ApplyOptions(
    message="a test",
    timeout_s=20.0,
    smoke=Smoke(timeout_s=0.5),
    patience_s=0.3,
    unschedulable_s=0.6,
    settle_s=0.2,
    ask_every_s=0.05,
)


@pytest.fixture
def server() -> Iterator[ApiServer]:
    """The API server."""
    with ApiServer() as server:
        yield server


@pytest.fixture
def api(server: ApiServer, tmp_path: Path) -> Iterator[Api]:
    """The client's way to it, by a kubeconfig."""
    api = connect(str(server.kubeconfig(tmp_path / "kubeconfig")))
    yield api
    api.close()


@pytest.fixture
def operator(server: ApiServer) -> Iterator[Operator]:
    """KubeRay."""
    with Operator(server) as operator:
        yield operator


@pytest.fixture
def recorder() -> Recorder:
    """Who watches."""
    return Recorder()


@pytest.fixture
def rollout(api: Api, operator: Operator, recorder: Recorder) -> Rollout:
    """The rollouts of the service."""
    return Rollout(api, observer=recorder)
