"""The way in from outside: Gateway API, TLS by cert-manager.

Sizes of bodies are the application's to limit (`http.*_limit_bytes`): Gateway API has no word for
them. Its implementations have, each one its own; the application's refusals are better answers.
"""

from kuberay.manifests.cluster import ClusterSettings, GatewaySettings
from kuberay.manifests.network import NAMESPACE_LABEL
from kuberay.manifests.objects import NAME, PODS, Object, made
from kuberay.manifests.times import longest_request_s
from serve_app.settings import Settings

API = "gateway.networking.k8s.io/v1"
HTTP, HTTPS = "http", "https"
CERTIFICATE = f"{NAME}-tls"
SERVE_SERVICE = f"{NAME}-serve-svc"
"""KubeRay's: it follows the cluster that has the traffic."""
GRPC_SERVICE = f"{NAME}-grpc"
GRPC_METHODS = "/inference.GRPCInferenceService"

PREFIXES = (
    "/v1",
    "/v2",
    "/faq",
    "/image",
    "/healthz",
    "/readyz",
    "/docs",
    "/openapi.json",
    "/page",
)
"""What the world may ask for, and `/`. Not `/metrics`."""


def entrance(settings: Settings, cluster: ClusterSettings) -> list[Object]:
    """Gateway, certificate and routes; nothing where the settings name no gateway."""
    gateway = cluster.gateway
    if gateway is None:
        return []
    found = [made("v1", "Namespace", gateway.namespace), _gateway(cluster, gateway)]
    found += _certificate(gateway)
    found += [_redirect(cluster, gateway), _route(settings, cluster, gateway)]
    if settings.grpc.port:
        found.append(_grpc_service(settings, cluster))
    return found


def _gateway(cluster: ClusterSettings, gateway: GatewaySettings) -> Object:
    allowed = {
        "namespaces": {
            "from": "Selector",
            "selector": {
                "matchExpressions": [
                    {
                        "key": NAMESPACE_LABEL,
                        "operator": "In",
                        # The second one for the answers to the issuer's challenges.
                        "values": [cluster.namespace, gateway.namespace],
                    }
                ]
            },
        }
    }
    found = made(API, "Gateway", NAME, gateway.namespace)
    found["spec"] = {
        "gatewayClassName": gateway.class_name,
        "listeners": [
            {
                "name": HTTP,
                "hostname": gateway.hostname,
                "port": 80,
                "protocol": "HTTP",
                "allowedRoutes": allowed,
            },
            {
                "name": HTTPS,
                "hostname": gateway.hostname,
                "port": 443,
                "protocol": "HTTPS",
                "tls": {"mode": "Terminate", "certificateRefs": [{"name": CERTIFICATE}]},
                "allowedRoutes": allowed,
            },
        ],
    }
    if gateway.annotations:
        found["spec"]["infrastructure"] = {"annotations": dict(gateway.annotations)}
    return found


def _certificate(gateway: GatewaySettings) -> list[Object]:
    own = gateway.acme_email is not None
    certificate = made("cert-manager.io/v1", "Certificate", CERTIFICATE, gateway.namespace)
    certificate["spec"] = {
        "secretName": CERTIFICATE,
        "dnsNames": [gateway.hostname],
        "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
        "issuerRef": {
            "group": "cert-manager.io",
            "kind": "Issuer" if own else "ClusterIssuer",
            "name": NAME if own else gateway.cluster_issuer,
        },
    }
    if not own:
        return [certificate]
    issuer = made("cert-manager.io/v1", "Issuer", NAME, gateway.namespace)
    challenge = {"gatewayHTTPRoute": {"parentRefs": [{"name": NAME, "sectionName": HTTP}]}}
    issuer["spec"] = {
        "acme": {
            "server": gateway.acme_server,
            "email": gateway.acme_email,
            "privateKeySecretRef": {"name": f"{NAME}-acme-account"},
            "solvers": [{"http01": challenge}],
        }
    }
    return [issuer, certificate]


def _redirect(cluster: ClusterSettings, gateway: GatewaySettings) -> Object:
    found = made(API, "HTTPRoute", f"{NAME}-redirect", cluster.namespace)
    redirect = {"scheme": "https", "port": 443, "statusCode": 301}
    found["spec"] = {
        **_attached(gateway, HTTP),
        "rules": [{"filters": [{"type": "RequestRedirect", "requestRedirect": redirect}]}],
    }
    return found


def _route(settings: Settings, cluster: ClusterSettings, gateway: GatewaySettings) -> Object:
    found = made(API, "HTTPRoute", NAME, cluster.namespace)
    backend = {"name": SERVE_SERVICE, "port": settings.http.port}
    if cluster.is_incremental:
        # KubeRay's own gateway shares the traffic between the clusters; this one ends TLS.
        backend = {"name": f"{NAME}-gateway-{cluster.upgrade.class_name}", "port": 80}
    timeouts = {"request": f"{longest_request_s(settings)}s"}
    rules = [
        {
            "matches": [*map(_below, PREFIXES), {"path": {"type": "Exact", "value": "/"}}],
            "backendRefs": [backend],
            "timeouts": timeouts,
        }
    ]
    if settings.grpc.port:
        # No GRPCRoute: a listener takes one kind of route for a host name.
        backend = {"name": GRPC_SERVICE, "port": settings.grpc.port}
        rules.append(
            {"matches": [_below(GRPC_METHODS)], "backendRefs": [backend], "timeouts": timeouts}
        )
    found["spec"] = {**_attached(gateway, HTTPS), "rules": rules}
    return found


def _grpc_service(settings: Settings, cluster: ClusterSettings) -> Object:
    """KubeRay's service has port 8000 alone. This one follows the workers that are ready."""
    found = made("v1", "Service", GRPC_SERVICE, cluster.namespace)
    found["spec"] = {
        "type": "ClusterIP",
        "selector": {**PODS, "ray.io/serve": "true"},
        "ports": [
            {
                "name": "grpc",
                "port": settings.grpc.port,
                "targetPort": settings.grpc.port,
                "appProtocol": "kubernetes.io/h2c",
            }
        ],
    }
    return found


def _below(path: str) -> Object:
    return {"path": {"type": "PathPrefix", "value": path}}


def _attached(gateway: GatewaySettings, listener: str) -> Object:
    parent = {"name": NAME, "namespace": gateway.namespace, "sectionName": listener}
    return {"parentRefs": [parent], "hostnames": [gateway.hostname]}
