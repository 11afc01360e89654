"""The service on a real cluster: `pytest -m kubernetes`, as docs/kubernetes-test.md describes.

The steps follow each other on one service; each leaves it whole for the next. Load comes from a pod
of the cluster, through the Service and so through kube-proxy, as clients do.
"""

import pytest

from tests.kuberay.cluster.scenario import NotEnforced, Scenario

pytestmark = [
    pytest.mark.kubernetes,
    pytest.mark.timeout(2 * 3600),
    pytest.mark.usefixtures("explained"),
]


def test_every_worker_answers_and_only_with_a_key(scenario: Scenario) -> None:
    scenario.answers()


def test_the_protocol_is_spoken_over_grpc_too(scenario: Scenario) -> None:
    scenario.answers_grpc()


def test_the_network_lets_nobody_in_but_the_client(scenario: Scenario) -> None:
    try:
        scenario.refuses_strangers()
    except NotEnforced as error:
        pytest.skip(f"this cluster's network does not keep NetworkPolicies: {error}")


def test_a_changed_serve_config_changes_the_same_cluster_and_loses_nothing(
    scenario: Scenario,
) -> None:
    scenario.change_in_place()


def test_a_new_cluster_takes_the_traffic_and_nothing_is_lost(scenario: Scenario) -> None:
    scenario.upgrade()


def test_a_worker_that_is_deleted_loses_nothing(scenario: Scenario) -> None:
    scenario.delete_worker()


def test_a_worker_that_is_killed_loses_what_it_had_under_way_and_no_more(
    scenario: Scenario,
) -> None:
    scenario.kill_worker()


def test_the_head_may_be_deleted_and_nothing_is_lost(scenario: Scenario) -> None:
    scenario.delete_head()


def test_the_head_may_be_killed_and_nothing_is_lost(scenario: Scenario) -> None:
    scenario.kill_head()


def test_an_image_that_cannot_be_pulled_is_rolled_back_and_nothing_is_lost(
    scenario: Scenario,
) -> None:
    scenario.reject_broken_image()


def test_the_history_says_what_was_rolled_out(scenario: Scenario) -> None:
    scenario.remember()


def test_an_earlier_revision_comes_back_and_nothing_is_lost(scenario: Scenario) -> None:
    scenario.roll_back()


def test_a_suspended_service_has_no_pods_and_answers_again_when_resumed(
    scenario: Scenario,
) -> None:
    scenario.sleep_and_wake()
