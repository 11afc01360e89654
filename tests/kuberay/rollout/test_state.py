"""What a cluster's pods say."""

from kuberay.rollout.state import ClusterState, PodState


def pod(name: str, *, ready: bool) -> PodState:
    return PodState(name, "c", "cpu", name == "head", "Running", ready)


def cluster(*pods: PodState) -> ClusterState:
    return ClusterState("c", "pending", pods=pods)


def test_a_ready_head_does_not_stand_in_for_workers_that_are_not() -> None:
    head, worker = pod("head", ready=True), pod("w1", ready=False)
    assert cluster(head, worker).ready_worker is None
    assert cluster(head, worker, pod("w2", ready=True)).ready_worker == "w2"


def test_without_workers_the_head_is_asked() -> None:
    assert cluster(pod("head", ready=True)).ready_worker == "head"
    assert cluster(pod("head", ready=False)).ready_worker is None
