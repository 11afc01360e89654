"""Serve's config: what Ray and the application would drop or refuse."""

import copy
from typing import Any

import pytest
import yaml

from serve_app.configuration import configure
from serve_app.serve_config import serve_config
from tests.kuberay.validation.planting import Place, changed
from tests.kuberay.validation.serve_config import serve_problems

RIGHT: dict[str, Any] = {
    "proxy_location": "EveryNode",
    "http_options": {"host": "0.0.0.0", "port": 8000, "keep_alive_timeout_s": 5},
    "grpc_options": {"port": 8001, "grpc_servicer_functions": []},
    "logging_config": {"encoding": "JSON"},
    "applications": [
        {
            "name": "scoring",
            "import_path": "serve_app:app",
            "route_prefix": "/",
            "args": {"faq.max_queue": 100, "auth.anonymous": True},
            "runtime_env": {"env_vars": {"A": "1"}},
            "deployments": [
                {
                    "name": "Router",
                    "max_ongoing_requests": 10,
                    "user_config": {"anything": {"goes": 1}},
                    "autoscaling_config": {"min_replicas": 1, "max_replicas": 2},
                    "backpressure_config": {"status_code": 429, "retry_after_s": 1},
                    "ray_actor_options": {"num_cpus": 1, "runtime_env": {"env_vars": {"B": "2"}}},
                }
            ],
        }
    ],
}
APPLICATION: Place = ("applications", 0)
DEPLOYMENT: Place = (*APPLICATION, "deployments", 0)


def found(config: Any) -> list[str]:
    return serve_problems(yaml.safe_dump(config))


def test_a_right_config_has_no_problem() -> None:
    assert found(RIGHT) == []


def test_what_the_application_prints_has_no_problem() -> None:
    assert found(serve_config(configure({"auth.anonymous": True}, environment={}))) == []


@pytest.mark.parametrize(
    ("where", "value", "place"),
    [
        (("proxy_locations",), "EveryNode", "proxy_locations: unknown field; did you mean"),
        (("http_options", "hots"), "x", "http_options.hots: unknown field"),
        (("http_options", "port"), "x", "http_options.port: "),
        (("grpc_options", "ports"), 1, "grpc_options.ports: unknown field"),
        (("logging_config", "encodings"), "JSON", "logging_config.encodings: unknown field"),
        (("proxy_location",), "Everywhere", "proxy_location: "),
        ((*APPLICATION, "route"), "/", "applications[0].route: unknown field"),
        ((*APPLICATION, "name"), "", "applications: "),
        ((*APPLICATION, "port"), 1, "Value error, Port 1"),
        ((*APPLICATION, "runtime_env", "env_var"), {}, "applications[0].runtime_env.env_var: "),
        ((*APPLICATION, "args", "faq.max_que"), 1, "applications[0].args: argument: faq.max_que"),
        (
            (*APPLICATION, "args", "faq.max_queue"),
            -1,
            "applications[0].args: argument: faq.max_queue",
        ),
        ((*APPLICATION, "args"), "faq.max_queue=1", "applications[0].args: "),
        ((*DEPLOYMENT, "num_replica"), 1, "applications[0].deployments[0].num_replica: unknown"),
        ((*DEPLOYMENT, "num_replicas"), 1, "applications[0].deployments[0]: "),
        (
            (*DEPLOYMENT, "autoscaling_config", "max_replica"),
            1,
            "applications[0].deployments[0].autoscaling_config.max_replica: unknown field",
        ),
        (
            (*DEPLOYMENT, "autoscaling_config", "min_replicas"),
            3,
            "applications[0].deployments[0].autoscaling_config: ",
        ),
        (
            (*DEPLOYMENT, "autoscaling_config", "policy"),
            {"policy_function": "absent.module:policy"},
            "applications[0].deployments[0].autoscaling_config: No module named",
        ),
        (
            (*DEPLOYMENT, "backpressure_config", "retry_after"),
            3,
            "applications[0].deployments[0].backpressure_config.retry_after: unknown field",
        ),
        (
            (*DEPLOYMENT, "ray_actor_options", "num_cpu"),
            3,
            "applications[0].deployments[0].ray_actor_options.num_cpu: unknown field",
        ),
        (
            (*DEPLOYMENT, "ray_actor_options", "runtime_env", "env"),
            {},
            "applications[0].deployments[0].ray_actor_options.runtime_env.env: unknown field",
        ),
    ],
)
def test_a_wrong_config_has_a_problem(where: Place, value: Any, place: str) -> None:
    problems = found(changed(RIGHT, where, value))
    assert any(place in problem for problem in problems), problems


def test_two_applications_need_two_names_and_routes() -> None:
    config = copy.deepcopy(RIGHT)
    config["applications"] *= 2
    assert any("multiple configs" in problem for problem in found(config))


@pytest.mark.parametrize("text", ["", "[1]", "a: 1\n---\nb: 1\n", "a: [", "a: 1\na: 2\n"])
def test_what_is_no_config_has_a_problem(text: str) -> None:
    assert serve_problems(text) != []
