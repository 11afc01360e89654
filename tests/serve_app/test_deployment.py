"""What Ray Serve calls when a replica ends."""

import pytest

from deployments.faq.deployment import FaqRankerDeployment
from deployments.image.deployment import ImageClassifierDeployment
from deployments.tracing import TracingOptions
from serve_app.deployment import RouterDeployment
from tests.otlp import receiving

Deployment = RouterDeployment | FaqRankerDeployment | ImageClassifierDeployment
KINDS = [RouterDeployment, FaqRankerDeployment, ImageClassifierDeployment]


@pytest.mark.parametrize("kind", KINDS)
def test_a_replica_that_ends_sends_what_it_traced_last(kind: type[Deployment]) -> None:
    with receiving() as receiver:
        replica: Deployment = kind.__new__(kind)  # its start needs Ray
        replica._spans = TracingOptions(receiver.endpoint, 1.0).spans("Router", "one")
        with replica._spans.step("last"):
            pass
        replica.__del__()
        assert len(receiver.named("last")) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_replica_that_failed_to_start_can_end(kind: type[Deployment]) -> None:
    kind.__new__(kind).__del__()
