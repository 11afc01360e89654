"""What the replicas serve becomes what a model's status says."""

from deployments.contracts import EngineStatus, RefusedVersion, VersionStatus
from serve_app.readiness import ModelStatus, Readiness, State
from tests.serve_app.fakes import FAQ, IMAGE

NEXT = FAQ._replace(version="4")
REFUSED = RefusedVersion("5", "why")


def test_the_status_names_what_most_replicas_serve() -> None:
    readiness = Readiness({"faq": ModelStatus("faq", FAQ, State.READY)})
    old, new = VersionStatus(FAQ, None), VersionStatus(NEXT, None)
    for replicas, expected in (([old, old, new], FAQ), ([], FAQ), ([new, old, new], NEXT)):
        readiness.set_versions("faq", replicas)
        assert readiness.status("faq") == ModelStatus("faq", expected, State.READY)


def test_a_refused_version_is_named_until_it_is_no_more() -> None:
    readiness = Readiness({"faq": ModelStatus("faq", FAQ, State.READY)})
    readiness.set_versions("faq", [VersionStatus(FAQ, None), VersionStatus(FAQ, REFUSED)])
    assert readiness.status("faq").refused == REFUSED
    readiness.set_state("faq", State.LOADING)
    assert readiness.status("faq").refused == REFUSED
    readiness.set_versions("faq", [VersionStatus(FAQ, None)])
    assert readiness.status("faq").refused is None


def test_the_status_names_the_engine_of_most_replicas_and_keeps_it() -> None:
    readiness = Readiness({"image": ModelStatus("resnet152", IMAGE, State.READY)})
    assert readiness.status("image").engine is None
    before = EngineStatus("cpu", "bfloat16", "fused", 2, (1, 2, 4, 8))
    after = before._replace(batch_sizes=(1, 2, 4))
    for replicas, expected in (([before, after, before], before), ([], before), ([after], after)):
        readiness.set_engines("image", replicas)
        assert readiness.status("image").engine == expected
