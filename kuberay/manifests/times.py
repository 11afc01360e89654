"""How long requests and pods may take to end."""

import math

from kuberay.manifests.cluster import ClusterSettings
from serve_app.settings import Settings

BODY_S = 15
"""Beyond the application's deadline, for a large body on a slow line; its 504 comes first."""
SWITCH_S = 30
"""Until every sender knows that the traffic goes to another cluster."""
STOP_S = 20
"""For Ray's processes to end after the pod has been drained."""


def longest_request_s(settings: Settings) -> int:
    """What the gateway lets a request take."""
    return math.ceil(settings.http.deadline_s) + BODY_S


def old_cluster_s(settings: Settings) -> int:
    """How long the old cluster stays after the new one has the traffic."""
    return SWITCH_S + longest_request_s(settings)


def grace_s(cluster: ClusterSettings) -> int:
    """Seconds between the wish to end a pod and SIGKILL."""
    return cluster.drain_s + STOP_S
