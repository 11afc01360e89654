"""The API server, by the official client: any kind, as plain dictionaries.

The generated methods of the client know the core kinds; a rollout applies whatever a folder holds.
So its connection, credentials and TLS are used, and the paths come from the server's discovery.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import urllib3
from kubernetes import client, config
from kubernetes.stream.ws_client import portforward_call

from kuberay.rollout.errors import FieldConflict, NotFound, RolloutError, api_error

Object = dict[str, Any]

FIELD_MANAGER = "scoring-rollout"
CONNECT_S, READ_S = 10.0, 60.0
CONNECTIONS = 16
"""A watch of each kind, and requests beside them."""


@dataclass(frozen=True)
class Kind:
    """A kind of object and where the API server has it."""

    api_version: str
    name: str
    plural: str
    is_namespaced: bool = True

    def path(self, namespace: str | None, name: str | None = None) -> str:
        """The path of one object, or of all in a namespace (None: in all namespaces)."""
        root = "/api/" if "/" not in self.api_version else "/apis/"
        parts = [root + self.api_version]
        if self.is_namespaced and namespace is not None:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name is not None:
            parts.append(quote(name, safe=""))
        return "/".join(parts)


RAY_SERVICE = Kind("ray.io/v1", "RayService", "rayservices")
RAY_CLUSTER = Kind("ray.io/v1", "RayCluster", "rayclusters")
POD = Kind("v1", "Pod", "pods")
SERVICE = Kind("v1", "Service", "services")
SECRET = Kind("v1", "Secret", "secrets")
EVENT = Kind("v1", "Event", "events")
LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")
CONTROLLER_REVISION = Kind("apps/v1", "ControllerRevision", "controllerrevisions")


class Api:
    """One API server. Every method raises `ApiError` where the server refuses."""

    def __init__(self, configuration: client.Configuration, namespace: str) -> None:
        """`namespace` is the one of the kubeconfig's context, for objects that name none."""
        # The client's own repetition is silent and has no deadline; a watch begins again by itself.
        configuration.retries = False
        configuration.connection_pool_maxsize = CONNECTIONS  # type: ignore[attr-defined]
        self.configuration = configuration
        self.namespace = namespace
        # The type stubs know nothing of the generated client's serialisation.
        self._client: Any = client.ApiClient(configuration)
        self._kinds: dict[str, dict[str, Kind]] = {}

    def kind(self, api_version: str, name: str) -> Kind:
        """Where the server has a kind. Raises NotFound for one that it does not know."""
        if api_version not in self._kinds:
            root = "/api/" if "/" not in api_version else "/apis/"
            try:
                found = self._request("GET", root + api_version)
            except NotFound as error:
                raise api_error(404, "NotFound", f"the cluster has no {api_version}") from error
            self._kinds[api_version] = {
                each["kind"]: Kind(api_version, each["kind"], each["name"], each["namespaced"])
                for each in found.get("resources", ())
                if "/" not in each["name"]
            }
        try:
            return self._kinds[api_version][name]
        except KeyError:
            raise api_error(
                404, "NotFound", f"the cluster has no kind {name} in {api_version}"
            ) from None

    def get(self, kind: Kind, name: str, namespace: str | None) -> Object:
        """One object. Raises NotFound."""
        return self._request("GET", kind.path(namespace, name))

    def find(self, kind: Kind, name: str, namespace: str | None) -> Object | None:
        """One object, or None."""
        try:
            return self.get(kind, name, namespace)
        except NotFound:
            return None

    def list_all(
        self, kind: Kind, namespace: str | None, *, labels: str = "", fields: str = ""
    ) -> tuple[list[Object], str]:
        """The objects that the selectors choose, and the resource version to watch from."""
        found = self._request("GET", kind.path(namespace), _selectors(labels, fields))
        return found.get("items", []), found["metadata"]["resourceVersion"]

    def apply(
        self, kind: Kind, body: Object, *, dry_run: bool = False, force: bool = False
    ) -> Object:
        """Server-side apply, unknown fields refused; the object as it is (or would be) then.

        Raises:
            Conflicted: fields belong to other managers, and `force` is not set
        """
        query = [("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict")]
        if dry_run:
            query.append(("dryRun", "All"))
        if force:
            query.append(("force", "true"))
        metadata = body["metadata"]
        path = kind.path(metadata.get("namespace"), metadata["name"])
        return self._request("PATCH", path, query, body, "application/apply-patch+yaml")

    def create(self, kind: Kind, body: Object) -> Object:
        """A new object. Raises Conflicted where there is one already."""
        query = [("fieldManager", FIELD_MANAGER)]
        return self._request("POST", kind.path(body["metadata"].get("namespace")), query, body)

    def replace(self, kind: Kind, body: Object) -> Object:
        """An object changed. Raises Conflicted where its resource version is not the newest."""
        metadata = body["metadata"]
        path = kind.path(metadata.get("namespace"), metadata["name"])
        return self._request("PUT", path, [("fieldManager", FIELD_MANAGER)], body)

    def patch(
        self, kind: Kind, name: str, namespace: str | None, operations: Sequence[Object]
    ) -> Object:
        """A JSON patch (RFC 6902); its `test` operations guard what was read before."""
        return self._request(
            "PATCH",
            kind.path(namespace, name),
            [("fieldManager", FIELD_MANAGER), ("fieldValidation", "Strict")],
            list(operations),
            "application/json-patch+json",
        )

    def delete(self, kind: Kind, name: str, namespace: str | None, *, uid: str) -> None:
        """Deletes the object with this uid, not a later one of the same name."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": uid}}
        self._request("DELETE", kind.path(namespace, name), (), body)

    def watch(
        self,
        kind: Kind,
        namespace: str | None,
        *,
        resource_version: str,
        timeout_s: int,
        labels: str = "",
        fields: str = "",
    ) -> "Stream":
        """The changes after a resource version, bookmarks included, for at most `timeout_s`."""
        query = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", resource_version),
            ("timeoutSeconds", str(timeout_s)),
            *_selectors(labels, fields),
        ]
        # A connection that died in silence is noticed a little after the server would have ended.
        response = self._send("GET", kind.path(namespace), query, read_s=timeout_s + 10.0)
        if response.status >= 300:
            with response:
                raise _error(response.status, response.reason or "", response.read())
        return Stream(response)

    def port_forward(self, namespace: str, pod: str, port: int) -> Any:
        """A port-forward (`kubernetes.stream`'s `PortForward`) to a pod's port; `close` it.

        Raises:
            ApiError: the API server refuses it
        """
        method, url, headers, _, _ = self._client.param_serialize(
            "GET",
            f"{POD.path(namespace, pod)}/portforward",
            query_params=[("ports", str(port))],
            header_params={},
            auth_settings=["BearerToken"],
        )
        # `stream.portforward` calls this too, but needs the module of the core API, whose import
        # takes seconds, and replaces a method of the client meanwhile: connections are threads.
        try:
            connect_to: Any = portforward_call  # it has no types
            return connect_to(self.configuration, method, url, headers=headers)
        except client.ApiException as error:
            raise api_error(0, "Unreachable", f"no way to {pod}:{port}: {error.reason}") from error

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()

    def _request(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        body: Object | list[Object] | None = None,
        content_type: str | None = None,
    ) -> Object:
        response = self._send(method, path, query, body, content_type)
        with response:
            try:
                content = response.read()
            except urllib3.exceptions.HTTPError as error:
                raise api_error(0, "Unreachable", f"the answer broke off: {error}") from error
        if response.status >= 300:
            raise _error(response.status, response.reason or "", content)
        found = json.loads(content)
        if not isinstance(found, dict):
            raise api_error(0, "Unreachable", "the answer is not one of a Kubernetes API server")
        return found

    def _send(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        body: Object | list[Object] | None = None,
        content_type: str | None = None,
        read_s: float = READ_S,
    ) -> urllib3.HTTPResponse:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type or "application/json"
        prepared = self._client.param_serialize(
            method,
            path,
            query_params=list(query),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            answer = self._client.call_api(*prepared, _request_timeout=(CONNECT_S, read_s))
        except (urllib3.exceptions.HTTPError, client.ApiException, OSError) as error:
            host = self.configuration.host
            raise api_error(0, "Unreachable", f"no answer from {host}: {error}") from error
        response: urllib3.HTTPResponse = answer.response
        return response


class Stream:
    """A watch: its events as they come."""

    def __init__(self, response: urllib3.HTTPResponse) -> None:
        self._response = response
        self._is_closed = False

    def __iter__(self) -> Iterator[Object]:
        """Ends when the server ends the watch. Raises Unreachable where the connection breaks."""
        rest = b""
        try:
            for chunk in self._response.stream(decode_content=True):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line.strip():
                        yield json.loads(line)
        except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError) as error:
            # `close` of another thread takes the connection away beneath the reading.
            if not self._is_closed:
                raise api_error(0, "Unreachable", f"the watch broke off: {error}") from error
        finally:
            self._response.close()

    def close(self) -> None:
        """Ends the watch; also from another thread, which then is not waited for."""
        self._is_closed = True
        with contextlib.suppress(ValueError, RuntimeError, OSError):  # it has ended by itself
            self._response.shutdown()


def connect(
    kubeconfig: str | None = None, context: str | None = None, namespace: str | None = None
) -> Api:
    """The API server of a kubeconfig (else of KUBECONFIG, else of the pod that this runs in).

    `namespace` takes the place of the context's own.

    Raises:
        RolloutError: there is no usable configuration
    """
    configuration = client.Configuration()
    try:
        config.load_kube_config(kubeconfig, context, client_configuration=configuration)
    except (config.ConfigException, TypeError) as error:
        if kubeconfig is not None or context is not None:
            raise RolloutError(f"the kubeconfig cannot be used: {error}") from error
        try:
            config.load_incluster_config(client_configuration=configuration)
        except config.ConfigException:
            raise RolloutError(
                f"no cluster to talk to: {error}; set KUBECONFIG or give --kubeconfig"
            ) from error
        return Api(configuration, namespace or "default")
    return Api(configuration, namespace or _context_namespace(kubeconfig, context))


def _context_namespace(kubeconfig: str | None, context: str | None) -> str:
    contexts, active = config.list_kube_config_contexts(kubeconfig)
    chosen = active
    if context is not None:
        chosen = next(each for each in contexts if each["name"] == context)
    return str(chosen["context"].get("namespace") or "default")


def _selectors(labels: str, fields: str) -> list[tuple[str, str]]:
    pairs = (("labelSelector", labels), ("fieldSelector", fields))
    return [(key, value) for key, value in pairs if value]


def _error(status: int, reason: str, content: bytes) -> Exception:
    """From the `Status` object that the server answers with (meta/v1)."""
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return api_error(status, reason, content.decode("utf-8", "replace").strip()[:500])
    return status_error(found, status)


def status_error(found: Object, status: int | None = None) -> Exception:
    """The error for a `Status` object, as an answer or as an event of a watch."""
    causes = (found.get("details") or {}).get("causes") or ()
    conflicts = [
        FieldConflict(_owner(cause.get("message", "")), cause.get("field", ""))
        for cause in causes
        if cause.get("reason") == "FieldManagerConflict"
    ]
    code = int(status or found.get("code") or 0)
    return api_error(code, found.get("reason", ""), found.get("message", ""), conflicts)


def _owner(message: str) -> str:
    """From `conflict with "kubectl" using apps/v1`."""
    parts = message.split('"')
    return parts[1] if len(parts) > 2 else message
