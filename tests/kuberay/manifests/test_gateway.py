"""The way in: HTTPS alone, what may be asked for, for how long."""

from typing import Any

import pytest

from serve_app.http.openapi import openapi
from tests.kuberay.manifests.rendering import find, of

Object = dict[str, Any]
FOLDERS = ("production", "gradual")
with_gateway = pytest.mark.parametrize("name", FOLDERS)


def routes(name: str) -> dict[str, Object]:
    """HTTPRoutes by the listener that they are attached to."""
    found = {}
    for route in find(name, "HTTPRoute"):
        (parent,) = route["spec"]["parentRefs"]
        found[parent["sectionName"]] = route["spec"]
    return found


def let_through(name: str, path: str) -> bool:
    """Whether a rule of the HTTPS route takes a path."""
    for rule in routes(name)["https"]["rules"]:
        for match in rule["matches"]:
            kind, value = match["path"]["type"], match["path"]["value"]
            below = kind == "PathPrefix" and path.startswith(value.rstrip("/") + "/")
            if path == value or below:
                return True
    return False


@with_gateway
def test_http_is_redirected_and_nothing_else(name: str) -> None:
    (rule,) = routes(name)["http"]["rules"]
    assert "backendRefs" not in rule
    (redirect,) = rule["filters"]
    assert redirect["requestRedirect"] == {"scheme": "https", "port": 443, "statusCode": 301}


@with_gateway
def test_https_ends_at_the_gateway_with_the_certificate(name: str) -> None:
    (gateway,) = find(name, "Gateway")
    listeners = {listener["name"]: listener for listener in gateway["spec"]["listeners"]}
    assert listeners["http"]["protocol"] == "HTTP"
    assert listeners["https"]["protocol"] == "HTTPS"
    (certificate,) = find(name, "Certificate")
    assert listeners["https"]["tls"] == {
        "mode": "Terminate",
        "certificateRefs": [{"name": certificate["spec"]["secretName"]}],
    }
    assert certificate["metadata"]["namespace"] == gateway["metadata"]["namespace"]
    hostname = of(name).cluster.gateway
    assert hostname is not None
    assert certificate["spec"]["dnsNames"] == [hostname.hostname]
    assert all(listener["hostname"] == hostname.hostname for listener in listeners.values())
    issuers = {(item["kind"], item["metadata"]["name"]) for item in find(name, "Issuer")}
    issuer = certificate["spec"]["issuerRef"]
    assert (issuer["kind"], issuer["name"]) in issuers


@with_gateway
def test_the_routes_are_attached_where_they_are_allowed(name: str) -> None:
    (gateway,) = find(name, "Gateway")
    assert gateway["metadata"]["namespace"] != "scoring"  # where nothing comes in
    for route in find(name, "HTTPRoute"):
        (parent,) = route["spec"]["parentRefs"]
        assert parent["name"] == gateway["metadata"]["name"]
        assert parent["namespace"] == gateway["metadata"]["namespace"]
        for listener in gateway["spec"]["listeners"]:
            (rule,) = listener["allowedRoutes"]["namespaces"]["selector"]["matchExpressions"]
            assert route["metadata"]["namespace"] in rule["values"]


@with_gateway
def test_browsers_are_told_to_stay_with_https(name: str) -> None:
    assert of(name).application.settings.http.hsts_s >= 31_536_000


@with_gateway
def test_every_route_of_the_application_is_let_through_but_its_metrics(name: str) -> None:
    paths = list(openapi()["paths"])
    assert "/metrics" in paths
    wanted = [*paths, "/page/config.json", "/docs/start.js", "/"]
    closed = {path for path in wanted if not let_through(name, path)}
    assert closed == {"/metrics"}
    for path in ("/-/healthz", "/-/routes", "/api/serve/applications", "/metrics/", "/v1x"):
        assert not let_through(name, path)


@with_gateway
def test_the_application_ends_a_request_before_the_gateway_does(name: str) -> None:
    deadline = of(name).application.settings.http.deadline_s
    for rule in routes(name)["https"]["rules"]:
        seconds = rule["timeouts"]["request"]
        assert seconds.endswith("s")
        assert deadline < int(seconds[:-1]) <= deadline + 30


def test_requests_go_to_the_service_that_follows_the_traffic() -> None:
    http, grpc = routes("production")["https"]["rules"]
    settings = of("production").application.settings
    assert http["backendRefs"] == [{"name": "scoring-serve-svc", "port": settings.http.port}]
    (service,) = find("production", "Service")
    assert grpc["backendRefs"] == [
        {"name": service["metadata"]["name"], "port": settings.grpc.port}
    ]
    (port,) = service["spec"]["ports"]
    assert port["port"] == port["targetPort"] == settings.grpc.port
    assert port["appProtocol"] == "kubernetes.io/h2c"
    assert service["spec"]["selector"]["ray.io/serve"] == "true"


def test_the_path_of_grpc_is_that_of_the_protocol() -> None:
    from serve_app.oip.wire.inference_pb2 import DESCRIPTOR

    (service,) = DESCRIPTOR.services_by_name.values()
    grpc = routes("production")["https"]["rules"][1]
    assert grpc["matches"] == [{"path": {"type": "PathPrefix", "value": f"/{service.full_name}"}}]


def test_in_gradual_kuberays_gateway_shares_the_traffic() -> None:
    (service,) = find("gradual", "RayService")
    options = service["spec"]["upgradeStrategy"]["clusterUpgradeOptions"]
    (backend,) = routes("gradual")["https"]["rules"][0]["backendRefs"]
    # How Istio calls the service of a gateway; KubeRay calls its own by the RayService's name.
    assert backend == {"name": f"scoring-gateway-{options['gatewayClassName']}", "port": 80}


@pytest.mark.parametrize("name", ["base", "kind"])
def test_without_a_gateway_nothing_of_it_is_made(name: str) -> None:
    for kind in ("Gateway", "HTTPRoute", "Certificate", "Issuer"):
        assert list(find(name, kind)) == []
