"""Whether a cluster can be tested: why not, in one sentence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kubernetes import client

from kuberay.rollout import Api, ApiError, connect
from kuberay.rollout.api import POD, RAY_SERVICE
from kuberay.rollout.errors import Forbidden, RolloutError
from tests.kuberay.cluster.settings import TestSettings

OPERATOR_LABEL = "app.kubernetes.io/component=kuberay-operator"
"""The chart and the Kustomize files of KubeRay both set it."""
GROUPS = {
    "": ("secrets", "configmaps", "services", "serviceaccounts", "pods"),
    "apps": ("controllerrevisions",),
    "coordination.k8s.io": ("leases",),
    "networking.k8s.io": ("networkpolicies",),
    "policy": ("poddisruptionbudgets",),
    "ray.io": ("rayservices",),
}
EVERYTHING = ("get", "list", "watch", "create", "patch", "update", "delete")


class CannotTest(Exception):
    """Why the test skips."""


@dataclass(frozen=True)
class Right:
    """One thing that the account must be allowed to do."""

    verb: str
    group: str
    resource: str
    is_namespaced: bool = True
    subresource: str = ""

    def __str__(self) -> str:
        name = self.resource + (f"/{self.subresource}" if self.subresource else "")
        group = f" in {self.group}" if self.group else ""
        return f"{self.verb} {name}{group}"


def rights(settings: TestSettings) -> Iterator[Right]:
    """All that the test needs."""
    for group, resources in GROUPS.items():
        for resource in resources:
            for verb in EVERYTHING:
                yield Right(verb, group, resource)
    # `create` is what the API server is asked for by POST, `get` by a websocket.
    for verb in ("create", "get"):
        yield Right(verb, "", "pods", subresource="portforward")
        yield Right(verb, "", "pods", subresource="exec")
    yield Right("get", "", "pods", subresource="log")
    for verb in ("get", "list", "watch"):
        yield Right(verb, "ray.io", "rayclusters")
        yield Right(verb, "", "events")
    yield Right("patch", "ray.io", "rayclusters")
    for verb in ("get", "create", "patch", "delete"):
        yield Right(verb, "scheduling.k8s.io", "priorityclasses", is_namespaced=False)
    making = ("create", "delete") if settings.is_namespace_ours else ()
    for verb in ("get", "patch", *making):
        yield Right(verb, "", "namespaces", is_namespaced=False)


def connected() -> Api:
    """The cluster that KUBECONFIG names. Raises CannotTest."""
    try:
        return connect()
    except RolloutError as error:
        raise CannotTest(str(error)) from error


def check(api: Api, settings: TestSettings, namespace: str) -> None:
    """Raises CannotTest where the cluster has no KubeRay, or the account lacks rights."""
    try:
        api.kind(RAY_SERVICE.api_version, RAY_SERVICE.name)
    except ApiError as error:
        raise CannotTest(
            f"KubeRay is not installed on {api.configuration.host}: {error}"
        ) from error
    review = client.AuthorizationV1Api(client.ApiClient(api.configuration))
    lacking = [str(each) for each in rights(settings) if not _is_allowed(review, each, namespace)]
    if lacking:
        shown = ", ".join(lacking[:8]) + (f" and {len(lacking) - 8} more" if lacking[8:] else "")
        raise CannotTest(f"the account of the kubeconfig may not {shown}")


def operator_namespace(api: Api, settings: TestSettings) -> str:
    """Where KubeRay runs: only from there the head's dashboard is reached. Raises CannotTest."""
    if settings.operator_namespace:
        return settings.operator_namespace
    try:
        pods, _ = api.list_all(POD, None, labels=OPERATOR_LABEL)
    except Forbidden as error:
        raise CannotTest(
            "SCORING_TEST_OPERATOR_NAMESPACE is not set, and the account may not look for the "
            f"operator: {error}"
        ) from error
    found = sorted({str(pod["metadata"]["namespace"]) for pod in pods})
    if len(found) != 1:
        raise CannotTest(
            f"KubeRay's operator was found in {', '.join(found) or 'no namespace'}: set "
            "SCORING_TEST_OPERATOR_NAMESPACE"
        )
    return found[0]


def _is_allowed(review: Any, right: Right, namespace: str) -> bool:
    attributes = client.V1ResourceAttributes(
        verb=right.verb,
        group=right.group,
        resource=right.resource,
        subresource=right.subresource or None,
        namespace=namespace if right.is_namespaced else None,
    )
    spec = client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
    asked = client.V1SelfSubjectAccessReview(spec=spec)
    answer = review.create_self_subject_access_review(asked)
    return bool(answer.status.allowed)


def chosen(expression: str, environment: Sequence[str]) -> None:
    """Raises CannotTest unless pytest was asked for these tests, and a kubeconfig is named."""
    if "kubernetes" not in expression:
        raise CannotTest("needs a cluster: pytest -m kubernetes (docs/kubernetes-test.md)")
    if "KUBECONFIG" not in environment:
        raise CannotTest("KUBECONFIG is not set: it names the cluster to test on")
