"""Rollouts of the RayService: what `scoring rollout` does, as a library.

It talks to the API server alone, by the official client, and reaches pods by port-forward.
"""

from kuberay.rollout.api import Api, Object, connect
from kuberay.rollout.errors import (
    ApiError,
    ChangedMeanwhile,
    InProgress,
    NothingToReturnTo,
    NotSuspendable,
    Refused,
    RolloutError,
    RolloutFailed,
    UnusableObjects,
)
from kuberay.rollout.forwarding import forward
from kuberay.rollout.history import Revision
from kuberay.rollout.live import Observer, Silent
from kuberay.rollout.objects import read_objects, the_service
from kuberay.rollout.plan import Plan
from kuberay.rollout.rollout import ApplyOptions, Outcome, Rollout
from kuberay.rollout.smoke import Smoke, SmokeFailed, SmokeResult
from kuberay.rollout.state import ClusterState, PodState, View

__all__ = [
    "Api",
    "ApiError",
    "ApplyOptions",
    "ChangedMeanwhile",
    "ClusterState",
    "InProgress",
    "NotSuspendable",
    "NothingToReturnTo",
    "Object",
    "Observer",
    "Outcome",
    "Plan",
    "PodState",
    "Refused",
    "Revision",
    "Rollout",
    "RolloutError",
    "RolloutFailed",
    "Silent",
    "Smoke",
    "SmokeFailed",
    "SmokeResult",
    "UnusableObjects",
    "View",
    "connect",
    "forward",
    "read_objects",
    "the_service",
]
