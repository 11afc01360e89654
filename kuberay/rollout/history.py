"""What was rolled out: ControllerRevisions (apps/v1) that belong to the RayService."""

import getpass
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kuberay.rollout.api import CONTROLLER_REVISION, FIELD_MANAGER, RAY_SERVICE, Api, Object
from kuberay.rollout.errors import NotFound, NothingToReturnTo

KEPT = 10
LABELS = {"app.kubernetes.io/managed-by": FIELD_MANAGER}
SERVICE_LABEL = "app.kubernetes.io/instance"
WHO, MESSAGE, OUTCOME = (f"{FIELD_MANAGER}/{each}" for each in ("who", "message", "outcome"))
LONGEST_NAME = 63

Result = Literal["in progress", "active", "failed", "rolled back"]


@dataclass(frozen=True)
class Revision:
    """One applied RayService: `body` is what was applied, without the hold."""

    number: int
    time: str
    who: str
    message: str
    outcome: Result
    body: Object
    name: str
    uid: str

    @property
    def spec(self) -> Object:
        """The RayService's spec."""
        spec: Object = self.body["spec"]
        return spec

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "revision": self.number,
            "time": self.time,
            "who": self.who,
            "message": self.message,
            "outcome": self.outcome,
            "spec": self.spec,
        }


class History:
    """The revisions of one RayService."""

    def __init__(self, api: Api, namespace: str, service: str) -> None:
        self._api = api
        self._namespace = namespace
        self._service = service

    def revisions(self) -> tuple[Revision, ...]:
        """Newest first."""
        labels = {**LABELS, SERVICE_LABEL: self._service}
        found, _ = self._api.list_all(
            CONTROLLER_REVISION,
            self._namespace,
            labels=",".join(f"{key}={value}" for key, value in labels.items()),
        )
        return tuple(sorted(map(_revision, found), key=lambda each: each.number, reverse=True))

    def revision(self, number: int) -> Revision:
        """One of them. Raises NothingToReturnTo."""
        revisions = self.revisions()
        for each in revisions:
            if each.number == number:
                return each
        kept = ", ".join(str(each.number) for each in revisions) or "none"
        raise NothingToReturnTo(f"there is no revision {number}; there are: {kept}")

    def last_good(self, *, but: Sequence[int] = ()) -> Revision | None:
        """The newest that was active to the end of its rollout."""
        for each in self.revisions():
            if each.outcome == "active" and each.number not in but:
                return each
        return None

    def record(self, service: Object, body: Object, message: str, outcome: Result) -> Revision:
        """Adds what was applied to the live `service`; the oldest beyond the kept ones go."""
        revisions = self.revisions()
        number = revisions[0].number + 1 if revisions else 1
        made = self._api.create(
            CONTROLLER_REVISION,
            {
                "apiVersion": CONTROLLER_REVISION.api_version,
                "kind": CONTROLLER_REVISION.name,
                "metadata": {
                    "name": _name(self._service, number),
                    "namespace": self._namespace,
                    "labels": {**LABELS, SERVICE_LABEL: self._service},
                    "annotations": {WHO: whoami(), MESSAGE: message, OUTCOME: outcome},
                    "ownerReferences": [
                        {
                            "apiVersion": RAY_SERVICE.api_version,
                            "kind": RAY_SERVICE.name,
                            "name": self._service,
                            "uid": service["metadata"]["uid"],
                        }
                    ],
                },
                "revision": number,
                "data": body,
            },
        )
        for each in self._superfluous(revisions):
            self._forget(each)
        return _revision(made)

    def note(self, revision: Revision, outcome: Result) -> None:
        """Writes down how a revision's rollout ended."""
        key = OUTCOME.replace("/", "~1")  # as a JSON pointer writes it
        path = f"/metadata/annotations/{key}"
        self._api.patch(
            CONTROLLER_REVISION,
            revision.name,
            self._namespace,
            [{"op": "replace", "path": path, "value": outcome}],
        )

    def _superfluous(self, before: Sequence[Revision]) -> list[Revision]:
        """All but the newest; the last good one stays, however old."""
        good = next((each for each in before if each.outcome == "active"), None)
        return [each for each in before[KEPT - 1 :] if each is not good]

    def _forget(self, revision: Revision) -> None:
        try:
            self._api.delete(CONTROLLER_REVISION, revision.name, self._namespace, uid=revision.uid)
        except NotFound:  # somebody else tidied up
            return


def recordable(service: Object) -> Object:
    """A live RayService as it could be applied again: without what the server adds."""
    metadata = service["metadata"]
    kept = {
        key: metadata[key]
        for key in ("name", "namespace", "labels", "annotations")
        if metadata.get(key)
    }
    annotations = dict(kept.get("annotations") or {})
    annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
    if "annotations" in kept:
        kept["annotations"] = annotations
    spec = {key: value for key, value in service["spec"].items() if key != "suspend"}
    return {
        "apiVersion": service["apiVersion"],
        "kind": service["kind"],
        "metadata": kept,
        "spec": spec,
    }


def whoami() -> str:
    """Whoever runs this, for the history and the lease."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "somebody"
    return f"{user}@{socket.gethostname()}"


def _name(service: str, number: int) -> str:
    suffix = f"-rollout-{number}"
    return service[: LONGEST_NAME - len(suffix)] + suffix


def _revision(body: Object) -> Revision:
    metadata = body["metadata"]
    annotations = metadata.get("annotations") or {}
    return Revision(
        number=body["revision"],
        time=metadata.get("creationTimestamp", ""),
        who=annotations.get(WHO, ""),
        message=annotations.get(MESSAGE, ""),
        outcome=annotations.get(OUTCOME, "in progress"),
        body=body["data"],
        name=metadata["name"],
        uid=metadata["uid"],
    )
