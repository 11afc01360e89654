"""What Ray Serve itself says of its applications: more than KubeRay copies into its status.

Source: Ray 2.60, `GET /api/serve/applications/` (`ServeInstanceDetails` in ray/serve/schema.py).
"""

import base64
import binascii
import contextlib
import time

import httpx

from kuberay.rollout.api import POD, SECRET, Api, Object
from kuberay.rollout.errors import ApiError
from kuberay.rollout.forwarding import forward
from kuberay.rollout.state import ApplicationState, ClusterState, DeploymentState

PORT = 8265
PATH = "/api/serve/applications/"
TOKEN_VARIABLE = "RAY_AUTH_TOKEN"
ASK_S = 5.0
PAUSE_S = 5.0
"""How long a dashboard that did not answer is left alone."""


class Dashboards:
    """The dashboards of the clusters, asked through port-forwards that are kept open.

    A dashboard that cannot be reached is no failure: KubeRay's status says the most needed.
    """

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._stack = contextlib.ExitStack()
        self._clients: dict[str, httpx.Client] = {}
        self._silent_until: dict[str, float] = {}

    def __enter__(self) -> "Dashboards":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def applications(self, cluster: ClusterState) -> tuple[ApplicationState, ...] | None:
        """All applications of a cluster, or None where its dashboard does not answer."""
        head = cluster.head
        if head is None or time.monotonic() < self._silent_until.get(head.name, 0.0):
            return None
        try:
            answer = self._client(head.name).get(PATH)
            answer.raise_for_status()
            return details(answer.json())
        except (httpx.HTTPError, ApiError, ValueError, KeyError, TypeError, AttributeError):
            self._silent_until[head.name] = time.monotonic() + PAUSE_S
            return None

    def _client(self, pod: str) -> httpx.Client:
        if pod not in self._clients:
            token = self._token(pod)
            url = self._stack.enter_context(forward(self._api, self._namespace, pod, PORT))
            self._clients[pod] = self._stack.enter_context(
                httpx.Client(
                    base_url=url,
                    headers={"Authorization": f"Bearer {token}"} if token else {},
                    timeout=ASK_S,
                    trust_env=False,
                )
            )
        return self._clients[pod]

    def _token(self, pod: str) -> str | None:
        """From the secret that the head's container takes its token from (`authOptions`)."""
        body = self._api.get(POD, pod, self._namespace)
        for container in body["spec"]["containers"]:
            for variable in container.get("env") or ():
                reference = (variable.get("valueFrom") or {}).get("secretKeyRef")
                if variable["name"] == TOKEN_VARIABLE and reference:
                    secret = self._api.get(SECRET, reference["name"], self._namespace)
                    return secret_value(secret, reference["key"])
        return None


def secret_value(secret: Object, key: str) -> str | None:
    """One entry of a secret, decoded; None where it is not there or no text."""
    try:
        return base64.b64decode(secret["data"][key], validate=True).decode("utf-8").strip()
    except (KeyError, binascii.Error, UnicodeDecodeError):
        return None


def details(answer: Object) -> tuple[ApplicationState, ...]:
    """The applications of an answer. Raises KeyError, TypeError or AttributeError for another."""
    return tuple(
        ApplicationState(
            name=name or "default",
            status=found["status"],
            message=found.get("message") or "",
            deployments=tuple(
                DeploymentState(
                    name=each,
                    status=one["status"],
                    message=one.get("message") or "",
                    running=sum(replica.get("state") == "RUNNING" for replica in one["replicas"]),
                    target=one.get("target_num_replicas"),
                )
                for each, one in sorted(found["deployments"].items())
            ),
            config=found.get("deployed_app_config"),
        )
        for name, found in sorted(answer["applications"].items())
    )
