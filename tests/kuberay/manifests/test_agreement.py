"""Settings of the application and of the cluster that do not go together."""

import re
from typing import Any

import pytest
from pydantic import ValidationError

from kuberay.manifests.agreement import disagreements
from kuberay.manifests.cluster import ClusterSettings
from serve_app.settings import Settings

POD = {"cpus": 4, "memory_mib": 4096, "object_store_mib": 512, "disk_mib": 1024}
CLUSTER: dict[str, Any] = {
    "head": POD,
    "cpu": {**POD, "min_pods": 2, "max_pods": 4},
    "volume": {},
}
GPU = {**POD, "min_pods": 0, "max_pods": 2}
APPLICATION = {
    "data_dir": "/var/lib/scoring",
    "http.host": "0.0.0.0",
    "auth.keys": "/etc/scoring/keys.json",
}


def found(application: dict[str, Any] | None = None, cluster: dict[str, Any] | None = None) -> str:
    settings = Settings.model_validate({**APPLICATION, **(application or {})})
    made = ClusterSettings.model_validate({**CLUSTER, **(cluster or {})})
    return "; ".join(disagreements(settings, made))


def test_settings_that_agree() -> None:
    assert found() == ""
    assert found({"image.num_gpus": 1, "image.max_replicas": 2}, {"gpu": GPU}) == ""


@pytest.mark.parametrize(
    ("application", "cluster", "words"),
    [
        ({"http.host": "127.0.0.1"}, {}, "http.host"),
        ({"auth.keys": None}, {}, "auth.keys"),
        ({"auth.keys": "/var/lib/scoring/keys.json"}, {}, "auth.keys"),
        ({}, {"drain_s": 64}, "cluster.drain_s: a Router needs 65 s"),
        ({"http.deadline_s": 300}, {}, "cluster.drain_s: a Router needs 335 s"),
        ({"faq.num_cpus": 5}, {}, "faq.num_cpus: one replica"),
        ({"router.num_cpus": 4.5}, {}, "router.num_cpus: one replica"),
        ({"faq.max_replicas": 40}, {}, "cluster.cpu.max_pods: .* 21 CPUs, the pods have 16"),
        ({"faq.min_replicas": 20, "faq.max_replicas": 20}, {}, "cluster.cpu.min_pods"),
        ({"image.num_gpus": 1}, {}, "without cluster.gpu"),
        ({}, {"gpu": GPU}, "image.num_gpus: must be given"),
        ({"image.num_gpus": 1}, {"gpu": GPU}, "image.max_replicas"),
        ({"image.num_gpus": 1, "image.num_cpus": 8}, {"gpu": GPU}, "image.num_cpus"),
    ],
)
def test_what_does_not_agree_is_said(
    application: dict[str, Any], cluster: dict[str, Any], words: str
) -> None:
    problems = found(application, cluster)
    assert re.search(words, problems), problems


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"redis": {"address": "rediss://redis.example:6380"}}, "give one of both"),
        ({"volume": None}, "give one of both"),
        ({"drain_s": 0}, "greater than or equal"),
        ({"cpu": {**CLUSTER["cpu"], "min_pods": 5}}, "min_pods is above max_pods"),
        ({"head": {**POD, "cpu_request": 5}}, "cpu_request is above cpus"),
        ({"head": {**POD, "object_store_mib": 4000}}, "object_store_mib is more than half"),
        ({"upgrade": {"strategy": "NewClusterWithIncrementalUpgrade"}}, "upgrade.class_name"),
        ({"upgrade": {"strategy": "Recreate"}}, "Input should be"),
        (
            {"gateway": {"class_name": "c", "namespace": "g", "hostname": "a.example"}},
            "acme_email or cluster_issuer",
        ),
        ({"unknown": 1}, "Extra inputs"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ClusterSettings.model_validate({**CLUSTER, **changed})
