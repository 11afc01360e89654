"""How a rollout is shown: in place on a terminal, as plain lines elsewhere."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from serve_app.cli import tables

if TYPE_CHECKING:
    from kuberay.rollout import ClusterState, View

UP, CLEAR = "\x1b[{}A", "\x1b[J"
SHOWN_EVENTS = 3


class Display:
    """Shows steps and views as they come; equal views once."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self._stream = stream
        self._in_place = stream.isatty()
        self._height = 0
        self._last: list[str] = []

    def step(self, text: str) -> None:
        """A line that stays."""
        self._clear()
        print(text, file=self._stream, flush=True)
        if self._in_place:
            self._draw()

    def view(self, view: "View") -> None:
        """The clusters as they are."""
        lines = list(summary(view))
        if lines == self._last:
            return
        before, self._last = self._last, lines
        if self._in_place:
            self._clear()
            self._draw()
            return
        for line in lines:
            if line not in before:
                print(f"  {line}", file=self._stream, flush=True)

    def end(self) -> None:
        """What is shown in place goes."""
        self._clear()
        self._last = []

    def _draw(self) -> None:
        for line in self._last:
            print(f"  {line}", file=self._stream)
        self._height = len(self._last)
        self._stream.flush()

    def _clear(self) -> None:
        if self._height:
            print(UP.format(self._height) + CLEAR, end="", file=self._stream)
        self._height = 0


def summary(view: "View") -> Iterator[str]:
    """A line for each cluster and what its applications say."""
    for cluster in view.clusters:
        yield cluster_line(cluster)
        for application in cluster.applications:
            replicas = ", ".join(
                f"{each.name} {each.running}/{each.target}"
                for each in application.deployments
                if each.running is not None
            )
            said = f": {_one_line(application.message)}" if application.message else ""
            yield (
                f"  {application.name} {application.status}"
                f"{f' ({replicas})' if replicas else ''}{said}"
            )


def cluster_line(cluster: "ClusterState") -> str:
    """Its name and role, its pods, its share of the traffic, and what is wrong with pods."""
    parts = [f"{cluster.role} {cluster.name}: {cluster.ready_pods}/{len(cluster.pods)} pods ready"]
    if cluster.traffic_percent is not None:
        parts.append(f"{cluster.traffic_percent}% of the traffic")
    parts += sorted({f"{each.group}: {each.reason}" for each in cluster.pods if each.trouble})
    return ", ".join(map(_one_line, parts))


def full(view: "View") -> Iterator[str]:
    """All of the status."""
    state = "suspended" if view.is_suspended else "ready" if view.is_ready else "not ready"
    yield f"{view.namespace}/{view.name}: {state}, {view.endpoints} endpoints"
    for condition in view.conditions:
        yield f"  {condition.type}={condition.status} {condition.reason}"
    yield from summary(view)
    for cluster in view.clusters:
        rows = [
            (pod.name, pod.group, pod.phase, "ready" if pod.is_ready else "-", str(pod.restarts))
            for pod in cluster.pods
        ]
        if rows:
            yield from tables.render([("POD", "GROUP", "PHASE", "READY", "RESTARTS"), *rows]).split(
                "\n"
            )
    for event in view.events[:SHOWN_EVENTS]:
        yield f"event: {event.type} {_one_line(event.line())}"
    for warning in view.warnings():
        yield f"warning: {warning}"


def _one_line(text: str) -> str:
    """Messages of others may hold line breaks and control sequences."""
    line = " ".join(text.split())
    return line if line.isprintable() else ascii(line)
