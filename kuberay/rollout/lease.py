"""One rollout of a service at a time: a Lease (coordination.k8s.io/v1) that its holder renews."""

import contextlib
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from kuberay.rollout.api import LEASE, Api, Object
from kuberay.rollout.errors import ApiError, Conflicted, InProgress
from kuberay.rollout.history import whoami

LASTS_S = 60
RENEWED_S = 15.0


class Lease:
    """Held for as long as its block lasts; one that was not renewed for a minute can be taken."""

    def __init__(self, api: Api, namespace: str, service: str) -> None:
        self._api = api
        self._namespace = namespace
        self._name = f"{service}-rollout"
        self._holder = f"{whoami()} process {os.getpid()}"
        self._is_lost = False
        self._stopping = threading.Event()

    @property
    def is_lost(self) -> bool:
        """Whether somebody else has taken it, or it could not be renewed in its time."""
        return self._is_lost

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Takes it, renews it in a thread, gives it back.

        Raises:
            InProgress: somebody else holds it
        """
        lease = self._take()
        thread = threading.Thread(target=self._renew, args=(lease,), name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join()
            if not self._is_lost:
                with contextlib.suppress(ApiError):  # it runs out by itself
                    self._api.delete(
                        LEASE, self._name, self._namespace, uid=lease["metadata"]["uid"]
                    )

    def _take(self) -> Object:
        found = self._api.find(LEASE, self._name, self._namespace)
        now = datetime.now(UTC)
        try:
            if found is None:
                return self._api.create(LEASE, self._body({}, now))
            if (until := _valid_until(found)) > now:
                spec = found["spec"]
                raise InProgress(
                    f"{spec.get('holderIdentity')} rolls out since {spec.get('acquireTime')}; "
                    f"its lease {self._name} is valid until {until:%H:%M:%S} UTC"
                )
            return self._api.replace(LEASE, self._body(found["metadata"], now))
        except Conflicted as error:
            raise InProgress("somebody else began a rollout in this moment") from error

    def _renew(self, lease: Object) -> None:
        renewed = datetime.now(UTC)
        while not self._stopping.wait(RENEWED_S):
            now = datetime.now(UTC)
            lease["spec"]["renewTime"] = _written(now)
            try:
                lease = self._api.replace(LEASE, lease)
                renewed = now
            except Conflicted:
                self._is_lost = True
                return
            except ApiError:
                if now - renewed > timedelta(seconds=LASTS_S):
                    self._is_lost = True
                    return

    def _body(self, metadata: Object, now: datetime) -> Object:
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.name,
            "metadata": {**metadata, "name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._holder,
                "leaseDurationSeconds": LASTS_S,
                "acquireTime": _written(now),
                "renewTime": _written(now),
            },
        }


def _valid_until(lease: Object) -> datetime:
    spec = lease.get("spec") or {}
    renewed = spec.get("renewTime")
    if not spec.get("holderIdentity") or not renewed:
        return datetime.min.replace(tzinfo=UTC)
    lasts = timedelta(seconds=spec.get("leaseDurationSeconds") or LASTS_S)
    return datetime.fromisoformat(renewed) + lasts


def _written(time: datetime) -> str:
    """A MicroTime (meta/v1)."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
