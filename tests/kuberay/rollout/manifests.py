"""RayServices to roll out."""

from typing import Any

import yaml

from tests.kuberay.rollout.field_managers import Json


def ray_service(
    image: str = "scoring:1",
    *,
    args: Json | None = None,
    workers: int = 1,
    most: int = 4,
    groups: tuple[str, ...] = ("cpu",),
    **spec: Any,
) -> Json:
    """One with a head and worker groups, and the application `scoring`."""
    application = {
        "name": "scoring",
        "import_path": "serve_app:app",
        "route_prefix": "/",
        "args": args or {},
    }

    def template(name: str) -> Json:
        return {"spec": {"containers": [{"name": name, "image": image}]}}

    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": "scoring", "namespace": "scoring"},
        "spec": {
            "serveConfigV2": yaml.safe_dump({"applications": [application]}),
            "rayClusterConfig": {
                "rayVersion": "2.60.0",
                "enableInTreeAutoscaling": True,
                "headGroupSpec": {"rayStartParams": {}, "template": template("ray-head")},
                "workerGroupSpecs": [
                    {
                        "groupName": name,
                        "minReplicas": workers,
                        "maxReplicas": most,
                        "rayStartParams": {},
                        "template": template("ray-worker"),
                    }
                    for name in groups
                ],
            },
            **spec,
        },
    }


def config_map(value: str = "1") -> Json:
    """Something beside it."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "beside", "namespace": "scoring"},
        "data": {"value": value},
    }
