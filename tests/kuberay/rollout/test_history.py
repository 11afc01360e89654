"""The history, the lease and the way back by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kuberay.rollout import Api, InProgress, NothingToReturnTo, Rollout, RolloutFailed
from kuberay.rollout.history import KEPT, History
from kuberay.rollout.lease import Lease
from tests.kuberay.rollout.api_server import ApiServer
from tests.kuberay.rollout.conftest import OPTIONS
from tests.kuberay.rollout.kuberay_operator import Operator
from tests.kuberay.rollout.manifests import ray_service
from tests.kuberay.rollout.test_apply import FIRST, is_held, live


def test_the_newest_revisions_are_kept_and_the_last_good_one(api: Api, server: ApiServer) -> None:
    history = History(api, "scoring", "scoring")
    service = server.store.create("rayservices", "scoring", ray_service())
    history.record(service, ray_service(), "good", "active")
    for number in range(2, KEPT + 4):
        history.record(service, ray_service(f"scoring:{number}"), "bad", "failed")
    numbers = [each.number for each in history.revisions()]
    assert numbers == [*range(KEPT + 3, 3, -1), 1]
    good = history.last_good()
    assert good is not None
    assert good.number == 1
    (owner,) = server.store.get("controllerrevisions", "scoring", good.name)["metadata"][
        "ownerReferences"
    ]
    assert owner["uid"] == service["metadata"]["uid"]


def test_a_rollback_by_hand_is_a_rollout_of_the_one_before(
    rollout: Rollout, server: ApiServer, operator: Operator
) -> None:
    for number in (1, 2, 3):
        rollout.apply([ray_service(f"scoring:{number}")], OPTIONS)
    outcome = rollout.rollback(options=replace(OPTIONS, message=""))
    assert "scoring:2" in str(live(server)["spec"])
    assert len(outcome.smokes) == 2
    assert rollout.history()[0].message == "rollback to revision 2"
    rollout.rollback(1, OPTIONS)
    assert "scoring:1" in str(live(server)["spec"])
    assert not is_held(server)


def test_without_a_revision_before_nothing_is_done(rollout: Rollout, server: ApiServer) -> None:
    rollout.apply([ray_service()], OPTIONS)
    version = live(server)["metadata"]["resourceVersion"]
    with pytest.raises(NothingToReturnTo, match="no earlier revision"):
        rollout.rollback(options=OPTIONS)
    with pytest.raises(NothingToReturnTo, match="no revision 7; there are: 1"):
        rollout.rollback(7, OPTIONS)
    assert live(server)["metadata"]["resourceVersion"] == version


def test_a_rollout_in_progress_refuses_another_and_says_whose(
    api: Api, rollout: Rollout, server: ApiServer
) -> None:
    with Lease(api, "scoring", "scoring").held(), pytest.raises(InProgress) as caught:
        rollout.apply([ray_service()], OPTIONS)
    assert "process" in str(caught.value)
    assert "rolls out since 20" in str(caught.value)
    assert server.store.find("rayservices", "scoring", "scoring") is None
    assert server.store.list_all("leases") == []


def test_a_lease_that_ran_out_is_taken_over(rollout: Rollout, server: ApiServer) -> None:
    past = (datetime.now(UTC) - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "scoring-rollout"},
        "spec": {"holderIdentity": "gone", "renewTime": past, "leaseDurationSeconds": 60},
    }
    server.store.create("leases", "scoring", lease)
    assert rollout.apply([ray_service()], OPTIONS).cluster == FIRST
    assert server.store.list_all("leases") == []


def test_the_lease_is_given_back_after_a_failure(rollout: Rollout, server: ApiServer) -> None:
    with pytest.raises(RolloutFailed):
        rollout.apply([ray_service("broken:pull")], OPTIONS)
    assert server.store.list_all("leases") == []


def test_events_may_be_forbidden(rollout: Rollout, server: ApiServer) -> None:
    server.refuse("GET", "/events", 403, "Forbidden")
    assert rollout.apply([ray_service()], OPTIONS).cluster == FIRST
    assert rollout.status().events == ()


def test_pods_must_be_readable(rollout: Rollout, server: ApiServer) -> None:
    server.refuse("GET", "/pods", 403, "Forbidden")
    with pytest.raises(RolloutFailed, match="Forbidden"):
        rollout.apply([ray_service()], OPTIONS)
