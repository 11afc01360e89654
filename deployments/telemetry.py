"""Metrics: counted in each replica with prometheus_client, merged on a scrape.

Every Router replica and every model replica keeps its own registry. A scrape asks all of them,
so that the answer does not depend on which replica gives it; each series carries its replica.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from deployments.contracts import EngineStatus

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

MOST_CALLERS = 100
"""Callers that one replica counts by their id; each costs a series for every code it meets."""
NO_CALLER, OTHER_CALLERS = "none", "other"

Sample = tuple[str, dict[str, str], float]


@dataclass(frozen=True)
class Family:
    """One metric with its samples, in a form that travels between processes."""

    name: str
    documentation: str
    kind: str
    samples: tuple[Sample, ...]


Report = tuple[str, str, list[Family]]
"""What one replica counted: its deployment, its id, its metrics."""


def snapshot(registry: CollectorRegistry) -> list[Family]:
    """Every sample of a registry; the moments of creation are left out."""
    return [
        Family(
            metric.name,
            metric.documentation,
            metric.type,
            tuple(
                (sample.name, sample.labels, sample.value)
                for sample in metric.samples
                if not sample.name.endswith("_created")
            ),
        )
        for metric in registry.collect()
    ]


def exposition(replicas: Iterable[Report]) -> bytes:
    """Prometheus text of many replicas."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Merged(list(replicas)))
    return generate_latest(registry)


class _Merged(Collector):
    def __init__(self, replicas: Sequence[Report]):
        self._replicas = replicas

    def collect(self) -> Iterator[Metric]:
        merged: dict[str, Metric] = {}
        for deployment, replica, families in self._replicas:
            for family in families:
                metric = merged.setdefault(
                    family.name, Metric(family.name, family.documentation, family.kind)
                )
                for name, labels, value in family.samples:
                    own = {**labels, "deployment": deployment, "replica": replica}
                    metric.add_sample(name, own, value)
        yield from merged.values()


class Metrics:
    """Everything that one replica counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "scoring_requests", "Requests answered", ["route", "status"], registry=self.registry
        )
        self._seconds = self._histogram(
            "scoring_request_seconds", "Time from a request's start to its answer", "route"
        )
        self._queue = self._histogram(
            "scoring_queue_seconds", "Longest wait of a batch's items", "model"
        )
        self._inference = self._histogram(
            "scoring_inference_seconds", "Time of one inference", "model"
        )
        self._batch = self._histogram(
            "scoring_batch_size", "Items in one batch", "model", BATCH_SIZES
        )
        self._waiting = Gauge(
            "scoring_queue_waiting", "Items that wait now", ["model"], registry=self.registry
        )
        self._answers = Counter(
            "scoring_answers",
            "Items answered, by the version that answered",
            ["model", "version"],
            registry=self.registry,
        )
        self._refusals = Counter(
            "scoring_refusals",
            "Requests answered with a problem, by its code and by who asked",
            ["code", "caller"],
            registry=self.registry,
        )
        self._ready = Gauge(
            "scoring_model_ready",
            "1 while the model can answer, 0 while it cannot",
            ["model"],
            registry=self.registry,
        )
        self._replicas = Gauge(
            "scoring_ready_replicas",
            "Replicas of the model that run, as this replica sees it",
            ["model"],
            registry=self.registry,
        )
        self._registered = Gauge(
            "scoring_model_registered_timestamp_seconds",
            "When the version that answers was registered",
            ["model", "version"],
            registry=self.registry,
        )
        self._version = Gauge(
            "scoring_model_version_info",
            "1 for the version that answers",
            ["model", "version"],
            registry=self.registry,
        )
        self._refused = Counter(
            "scoring_model_versions_refused",
            "Versions that failed their checks and were not taken",
            ["model"],
            registry=self.registry,
        )
        self._decode = self._histogram(
            "scoring_decode_seconds", "Time from a picture's bytes to its pixels", "model"
        )
        self._refused_items = Counter(
            "scoring_items_refused",
            "Items of calls that were not scored",
            ["model", "reason"],
            registry=self.registry,
        )
        self._engine = Gauge(
            "scoring_engine_info",
            "1 for how the model computes",
            ["model", "device", "precision", "execution"],
            registry=self.registry,
        )
        self._largest_batch = Gauge(
            "scoring_largest_batch",
            "Most items that one batch takes now",
            ["model"],
            registry=self.registry,
        )
        self._children: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._refusal_children: dict[tuple[str, str], Counter] = {}
        self._callers = {NO_CALLER, OTHER_CALLERS}

    def observe_request(self, route: str, status: int, seconds: float) -> None:
        """Counts one answered request; `route` is one of the known routes, never a raw path."""
        key = (route, status)
        children = self._children.get(key)
        if children is None:
            children = (self._requests.labels(route, str(status)), self._seconds.labels(route))
            self._children[key] = children
        children[0].inc()
        children[1].observe(seconds)

    def observe_refusal(self, code: str, caller: str | None) -> None:
        """Counts a problem that a request ended with; `caller` is a key's id, never a key.

        The first MOST_CALLERS callers are told apart, later ones are counted as `other`.
        """
        key = (code, NO_CALLER if caller is None else self._bounded(caller))
        child = self._refusal_children.get(key)
        if child is None:
            child = self._refusal_children[key] = self._refusals.labels(*key)
        child.inc()

    def watch_readiness(self, model: str, is_ready: Callable[[], bool]) -> None:
        """Shows whether a model can answer, asked anew at each scrape."""
        self._ready.labels(model).set_function(lambda: float(is_ready()))

    def set_ready_replicas(self, model: str, replicas: int) -> None:
        """Notes how many replicas of a model run."""
        self._replicas.labels(model).set(replicas)

    def report(self, deployment: str, replica: str) -> Report:
        """Everything counted so far, to be sent to whoever scrapes."""
        return deployment, replica, snapshot(self.registry)

    def model(self, name: str) -> "ModelMetrics":
        """What is counted for one model."""
        return ModelMetrics(
            self._queue.labels(name),
            self._inference.labels(name),
            self._batch.labels(name),
            self._waiting.labels(name),
            self._largest_batch.labels(name),
            self.answers(name),
        )

    def answers(self, model: str) -> "Answers":
        """Where the answered items of one model are counted."""
        return Answers(lambda version: self._answers.labels(model, version))

    def serve_version(self, model: str, version: str, registered_s: float | None = None) -> None:
        """Notes the version that answers from now on; a replica has one model.

        `registered_s` is when it was registered (Unix time), where that is known.
        """
        self._version.clear()
        self._version.labels(model, version).set(1)
        self._registered.clear()
        if registered_s is not None:
            self._registered.labels(model, version).set(registered_s)
        self._refused.labels(model)  # shown as 0 until one is

    def refuse_version(self, model: str) -> None:
        """Counts a version that was not taken."""
        self._refused.labels(model).inc()

    def observe_decode(self, model: str, seconds: float) -> None:
        """Counts one decoded picture; the time it waited for a thread is part of it."""
        self._decode.labels(model).observe(seconds)

    def refuse_item(self, model: str, reason: str) -> None:
        """Counts an item that was not scored; `reason` is one that `Refusal` lists."""
        self._refused_items.labels(model, reason).inc()

    def serve_engine(self, model: str, engine: EngineStatus) -> None:
        """Notes how the model computes; a replica has one engine."""
        self._engine.labels(model, engine.device, engine.precision, engine.execution).set(1)

    def set_largest_batch(self, model: str, items: int) -> None:
        """Notes how many items a batch takes at most."""
        self._largest_batch.labels(model).set(items)

    def _bounded(self, caller: str) -> str:
        if caller in self._callers:
            return caller
        if len(self._callers) >= MOST_CALLERS + 2:
            return OTHER_CALLERS
        self._callers.add(caller)
        return caller

    def _histogram(
        self, name: str, meaning: str, label: str, buckets: Sequence[float] = SECONDS
    ) -> Histogram:
        return Histogram(name, meaning, [label], registry=self.registry, buckets=buckets)


@dataclass(frozen=True)
class ModelMetrics:
    """What is counted for one model where its items are gathered into batches or answered."""

    queue: Histogram
    inference: Histogram
    batch: Histogram
    waiting: Gauge
    largest: Gauge
    answers: "Answers"

    def observe_batch(self, size: int, queue_s: float, inference_s: float) -> None:
        """Counts one batch: its items, the longest wait and the model's time (seconds)."""
        self.batch.observe(size)
        self.queue.observe(queue_s)
        self.inference.observe(inference_s)


@dataclass(frozen=True)
class Answers:
    """Counts what each version of a model answered; the counters are looked up once."""

    counter: Callable[[str], Counter]
    _children: dict[str, Counter] = field(default_factory=dict)

    def observe(self, version: str, items: int = 1) -> None:
        """Counts items that this version answered."""
        child = self._children.get(version)
        if child is None:
            child = self._children[version] = self.counter(version)
        child.inc(items)
