"""What an API server keeps, and its rules: versions, generations, owners of fields, the log."""

import copy
import json
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import jsonpatch
from jsonpointer import JsonPointerException

from tests.kuberay.rollout import field_managers
from tests.kuberay.rollout.field_managers import Conflict, Json, Manager

WITH_STATUS = {"rayservices", "rayclusters", "pods"}
CLUSTER_WIDE = {"namespaces", "priorityclasses"}

KINDS: dict[str, dict[str, str]] = {
    "v1": {
        "namespaces": "Namespace",
        "pods": "Pod",
        "services": "Service",
        "secrets": "Secret",
        "events": "Event",
        "configmaps": "ConfigMap",
    },
    "apps/v1": {"controllerrevisions": "ControllerRevision"},
    "coordination.k8s.io/v1": {"leases": "Lease"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
    "scheduling.k8s.io/v1": {"priorityclasses": "PriorityClass"},
    "ray.io/v1": {"rayservices": "RayService", "rayclusters": "RayCluster"},
}

Key = tuple[str, str, str]


class Problem(Exception):
    """An answer that is no success, as a `Status` (meta/v1)."""

    def __init__(self, code: int, reason: str, message: str, causes: list[Json] | None = None):
        super().__init__(message)
        self.code = code
        self.status: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
            **({"details": {"causes": causes}} if causes else {}),
        }


@dataclass(frozen=True)
class Change:
    """One entry of the watch log."""

    version: int
    plural: str
    kind: str
    body: Json
    before: Json | None


@dataclass
class Store:
    """The objects; every method may be called by any thread."""

    validate: Callable[[Json], list[str]] = lambda _: []
    """What is wrong with a RayService, as the schema of its kind says."""

    changed: Callable[[], None] = lambda: None
    version: int = 100
    oldest: int = 100
    log: list[Change] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _objects: dict[Key, Json] = field(default_factory=dict)
    _managers: dict[Key, list[Manager]] = field(default_factory=dict)

    def get(self, plural: str, namespace: str, name: str) -> Json:
        """Raises Problem 404."""
        with self.lock:
            body = self._objects.get((plural, namespace, name))
            if body is None:
                raise Problem(404, "NotFound", f'{plural} "{name}" not found')
            return copy.deepcopy(body)

    def find(self, plural: str, namespace: str, name: str) -> Json | None:
        """Or None."""
        with self.lock:
            return copy.deepcopy(self._objects.get((plural, namespace, name)))

    def list_all(self, plural: str, namespace: str = "") -> list[Json]:
        """Of one namespace, or of all."""
        with self.lock:
            return [
                copy.deepcopy(body)
                for (kind, place, _), body in sorted(self._objects.items())
                if kind == plural and namespace in ("", place)
            ]

    def create(self, plural: str, namespace: str, body: Json, manager: str = "test") -> Json:
        """Raises Problem 409 where there is one."""
        with self.lock:
            name = body["metadata"]["name"]
            if (plural, namespace, name) in self._objects:
                raise Problem(409, "AlreadyExists", f'{plural} "{name}" already exists')
            self._check(plural, namespace, body)
            managers: list[Manager] = []
            new = self._made(plural, namespace, body)
            field_managers.updated({}, _written(new), managers, manager)
            return self._put(plural, namespace, new, managers, None)

    def replace(
        self, plural: str, namespace: str, name: str, body: Json, manager: str = "test"
    ) -> Json:
        """Everything but the status; Raises Problem 409 for an old resource version."""
        with self.lock:
            current = self.get(plural, namespace, name)
            given = body["metadata"].get("resourceVersion")
            if given not in (None, current["metadata"]["resourceVersion"]):
                raise Problem(
                    409,
                    "Conflict",
                    f'{plural} "{name}": the object has been modified; read it again',
                )
            self._check(plural, namespace, body)
            new = copy.deepcopy(body)
            if plural in WITH_STATUS:
                new.pop("status", None)
                if "status" in current:
                    new["status"] = current["status"]
            managers = self._copied(plural, namespace, name)
            field_managers.updated(_written(current), _written(new), managers, manager)
            return self._put(plural, namespace, new, managers, current)

    def set_status(self, plural: str, namespace: str, name: str, status: Json) -> Json:
        """The status alone."""
        with self.lock:
            current = self.get(plural, namespace, name)
            managers = self._copied(plural, namespace, name)
            return self._put(plural, namespace, {**current, "status": status}, managers, current)

    def patch(
        self,
        plural: str,
        namespace: str,
        name: str,
        operations: list[Json],
        manager: str = "test",
        dry_run: bool = False,
    ) -> Json:
        """A JSON patch. Raises Problem 422 where a test of it fails."""
        with self.lock:
            current = self.get(plural, namespace, name)
            try:
                new = jsonpatch.apply_patch(current, json.dumps(operations))
            except (jsonpatch.JsonPatchException, JsonPointerException) as error:
                raise Problem(422, "Invalid", f"the patch cannot be applied: {error}") from error
            self._check(plural, namespace, new)
            managers = self._copied(plural, namespace, name)
            field_managers.updated(_written(current), _written(new), managers, manager)
            return self._put(plural, namespace, new, managers, current, dry_run=dry_run)

    def apply(
        self,
        plural: str,
        namespace: str,
        name: str,
        config: Json,
        manager: str,
        *,
        force: bool = False,
        dry_run: bool = False,
    ) -> Json:
        """Server-side apply. Raises Problem 409 with the owners of the fields."""
        with self.lock:
            self._check(plural, namespace, config)
            current = self.find(plural, namespace, name)
            base = current or self._made(plural, namespace, {"metadata": {"name": name}})
            managers = self._copied(plural, namespace, name)
            try:
                new = field_managers.apply(base, managers, manager, config, force)
            except Conflict as error:
                causes = [
                    {
                        "reason": "FieldManagerConflict",
                        "message": f'conflict with "{owner}" using {config["apiVersion"]}',
                        "field": "." + ".".join(path),
                    }
                    for owner, path in error.found
                ]
                message = f"Apply failed with {len(causes)} conflicts"
                raise Problem(409, "Conflict", message, causes) from error
            new = {**new, "apiVersion": config["apiVersion"], "kind": config["kind"]}
            self._check(plural, namespace, new)
            return self._put(plural, namespace, new, managers, current, dry_run=dry_run)

    def delete(self, plural: str, namespace: str, name: str, uid: str | None = None) -> Json:
        """Raises Problem 409 for another uid."""
        with self.lock:
            current = self.get(plural, namespace, name)
            if uid not in (None, current["metadata"]["uid"]):
                raise Problem(409, "Conflict", "the UID in the precondition does not match")
            del self._objects[plural, namespace, name]
            self._managers.pop((plural, namespace, name), None)
            self.version += 1
            current["metadata"]["resourceVersion"] = str(self.version)
            self.log.append(Change(self.version, plural, "DELETED", current, current))
        self.changed()
        return current

    def compact(self) -> None:
        """Forgets the log: what is watched from before is gone."""
        with self.lock:
            self.log.clear()
            self.oldest = self.version

    def _check(self, plural: str, namespace: str, body: Json) -> None:
        if plural not in CLUSTER_WIDE and ("namespaces", "", namespace) not in self._objects:
            raise Problem(404, "NotFound", f'namespaces "{namespace}" not found')
        if plural == "rayservices" and (wrong := self.validate(body)):
            raise Problem(422, "Invalid", f"RayService is invalid: {'; '.join(wrong)}")

    def _made(self, plural: str, namespace: str, body: Json) -> Json:
        metadata = {
            **copy.deepcopy(body["metadata"]),
            "uid": str(uuid.uuid4()),
            "creationTimestamp": now(),
        }
        if plural not in CLUSTER_WIDE:
            metadata["namespace"] = namespace
        return {**copy.deepcopy(body), "metadata": metadata}

    def _copied(self, plural: str, namespace: str, name: str) -> list[Manager]:
        return copy.deepcopy(self._managers.get((plural, namespace, name), []))

    def _put(
        self,
        plural: str,
        namespace: str,
        new: Json,
        managers: list[Manager],
        current: Json | None,
        *,
        dry_run: bool = False,
    ) -> Json:
        metadata = new["metadata"]
        if current is None:
            metadata["generation"] = 1
        elif new.get("spec") != current.get("spec"):
            metadata["generation"] = current["metadata"].get("generation", 1) + 1
        metadata["managedFields"] = field_managers.managed_fields(managers)
        if current is not None:
            unchanged = json.dumps(_written(new), sort_keys=True) == json.dumps(
                _written(current), sort_keys=True
            )
            if unchanged and new.get("status") == current.get("status"):
                return current
        if dry_run:
            return new
        self.version += 1
        metadata["resourceVersion"] = str(self.version)
        key = (plural, namespace, metadata["name"])
        self._objects[key] = copy.deepcopy(new)
        self._managers[key] = managers
        kind = "ADDED" if current is None else "MODIFIED"
        self.log.append(Change(self.version, plural, kind, copy.deepcopy(new), current))
        self.changed()
        return copy.deepcopy(new)


def _written(body: Json) -> Json:
    """What clients write, without what the server adds."""
    server_side = {"uid", "creationTimestamp", "generation", "managedFields", "resourceVersion"}
    metadata = {
        key: value for key, value in body.get("metadata", {}).items() if key not in server_side
    }
    return {**{key: value for key, value in body.items() if key != "status"}, "metadata": metadata}


def now() -> str:
    """A Time (meta/v1), with microseconds: a test is over within one second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def matches(body: Json, labels: str, fields: str) -> bool:
    """Whether selectors of the form a=b,c=d choose an object."""
    own: dict[str, Any] = body["metadata"].get("labels") or {}
    for each in filter(None, labels.split(",")):
        key, _, value = each.partition("=")
        if own.get(key) != value:
            return False
    for each in filter(None, fields.split(",")):
        key, _, value = each.partition("=")
        if key != "metadata.name":
            raise Problem(400, "BadRequest", f"field label not supported: {key}")
        if body["metadata"]["name"] != value:
            return False
    return True
