"""What a replica counts, and that no caller can make it count without bounds."""

from collections.abc import Iterator

from deployments.telemetry import MOST_CALLERS, Metrics, snapshot


def samples(metrics: Metrics, name: str) -> Iterator[tuple[dict[str, str], float]]:
    for family in snapshot(metrics.registry):
        for sample, labels, value in family.samples:
            if sample == name:
                yield labels, value


def test_refusals_are_counted_by_code_and_caller() -> None:
    metrics = Metrics()
    for code, caller in (("a", "k1"), ("a", "k1"), ("b", "k1"), ("a", None)):
        metrics.observe_refusal(code, caller)
    counted = {
        (labels["code"], labels["caller"]): value
        for labels, value in samples(metrics, "scoring_refusals_total")
    }
    assert counted == {("a", "k1"): 2, ("b", "k1"): 1, ("a", "none"): 1}


def test_callers_beyond_the_bound_are_counted_together() -> None:
    metrics = Metrics()
    for number in range(3 * MOST_CALLERS):
        metrics.observe_refusal("quota_exceeded", f"k{number}")
    metrics.observe_refusal("quota_exceeded", "k0")
    counted = {
        labels["caller"]: value for labels, value in samples(metrics, "scoring_refusals_total")
    }
    assert len(counted) == MOST_CALLERS + 1
    assert counted["other"] == 2 * MOST_CALLERS
    assert counted["k0"] == 2


def test_answers_are_counted_by_version() -> None:
    metrics = Metrics()
    answers = metrics.answers("faq")
    answers.observe("3")
    answers.observe("4", 5)
    answers.observe("3", 2)
    counted = {
        labels["version"]: value for labels, value in samples(metrics, "scoring_answers_total")
    }
    assert counted == {"3": 3, "4": 5}


def test_a_new_version_replaces_the_old_one_and_its_age() -> None:
    metrics = Metrics()
    metrics.serve_version("faq", "3", 100.0)
    metrics.serve_version("faq", "4", 200.0)
    name = "scoring_model_registered_timestamp_seconds"
    assert list(samples(metrics, name)) == [({"model": "faq", "version": "4"}, 200.0)]
    metrics.serve_version("faq", "5")
    assert list(samples(metrics, name)) == []


def test_readiness_is_asked_anew_at_each_scrape() -> None:
    metrics, ready = Metrics(), [True]
    metrics.watch_readiness("faq", lambda: ready[0])
    assert list(samples(metrics, "scoring_model_ready")) == [({"model": "faq"}, 1.0)]
    ready[0] = False
    assert list(samples(metrics, "scoring_model_ready")) == [({"model": "faq"}, 0.0)]
