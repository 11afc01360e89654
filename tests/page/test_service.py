"""The service on the page: models, engines, live figures, and why there are none."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from deployments.contracts import EngineStatus, RefusedVersion, VersionStatus
from serve_app.readiness import State
from serve_app.settings import HttpSettings
from tests.page.conftest import Serve
from tests.serve_app.fakes import FAQ, IMAGE

Open = Callable[..., Any]


def test_models_show_version_digest_and_device(serve: Serve, open_page: Open) -> None:
    served = serve()
    engine = EngineStatus("cuda:0", "bfloat16", "graphs", 2, (1, 8))
    served.application.readiness.set_engines("image", [engine])
    status = VersionStatus(FAQ, RefusedVersion("4", "it cannot be loaded"))
    served.application.readiness.set_versions("faq", [status])
    page = open_page(served.url)
    faq, image = (page.locator(".model").nth(index) for index in (0, 1))
    image.wait_for()
    assert "version 4: it cannot be loaded" in faq.text_content()
    for text in ("resnet152", "ready", IMAGE.digest, "cuda:0", "bfloat16", "graphs", "1, 8"):
        assert text in image.text_content()


def test_a_state_that_changes_is_shown(serve: Serve, open_page: Open) -> None:
    served = serve()
    page = open_page(served.url)
    page.get_by_text("Every model has loaded").wait_for()
    served.application.readiness.set_state("image", State.LOADING)
    page.get_by_text("A model is loading").wait_for()


def test_traffic_is_shown_as_it_flows(serve: Serve, open_page: Open) -> None:
    served = serve()
    page = open_page(served.url)
    page.get_by_text("Every model has loaded").wait_for()
    with httpx.Client(base_url=served.url, trust_env=False) as client:
        for question in ["what is a closure"] * 8 + [" "] * 2:
            client.post("/v1/faq/rank", json={"question": question})
    row = page.locator("#routes tr", has_text="/v1/faq/rank")
    row.wait_for()
    _, rate, p50, p99, errors = row.locator("td").all_text_contents()
    assert float(rate) > 0
    assert 0 < float(p50) <= float(p99)
    assert errors == "2"
    assert page.locator("#batches tr", has_text="faq").locator("td").first.text_content() == "1.0"
    assert row.locator("svg polyline").get_attribute("points").count(",") >= 1


def test_nothing_is_asked_while_the_page_is_hidden(serve: Serve, open_page: Open) -> None:
    served = serve()
    page = open_page(served.url)
    page.get_by_text("Every model has loaded").wait_for()
    page.evaluate(
        """() => {
            window.seen = "hidden";
            Object.defineProperty(document, "visibilityState", {get: () => window.seen});
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2500)  # longer than the period
    assert asked == []
    with page.expect_request("**/readyz"):
        page.evaluate(
            "() => {window.seen = 'visible'; document.dispatchEvent(new Event('visibilitychange'))}"
        )


def test_metrics_that_are_off_are_said_to_be_and_not_asked_again(
    serve: Serve, open_page: Open
) -> None:
    served = serve(http=HttpSettings(metrics="off"))
    page = open_page(served.url)
    page.locator("#metrics-problem", has_text="Metrics are switched off").wait_for()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with page.expect_request("**/readyz"):
        pass
    assert not any("metrics" in url for url in asked)


SAMPLES = """# HELP scoring_request_seconds Time
# TYPE scoring_request_seconds histogram
scoring_request_seconds_bucket{le="0.1",route="/a",replica="1"} 1.0
scoring_request_seconds_bucket{le="0.2",route="/a",replica="1"} 3.0
scoring_request_seconds_bucket{le="+Inf",route="/a",replica="1"} 3.0
scoring_request_seconds_bucket{le="0.1",route="/a",replica="2"} 0.0
scoring_request_seconds_bucket{le="0.2",route="/a",replica="2"} 1.0
scoring_request_seconds_bucket{le="+Inf",route="/a",replica="2"} 1.0
odd{label="quote \\" comma , brace } line \\n backslash \\\\"} 5
"""


@pytest.fixture
def metrics(serve: Serve, open_page: Open) -> Callable[[str], Any]:
    """Runs an expression with the module `m` and the parsed samples `s` in the page."""
    page = open_page(serve().url)

    def run(expression: str) -> Any:
        return page.evaluate(
            "async ([text, path]) => { const m = await import(path); const s = m.parse(text);"
            f"return {expression}; }}",
            [SAMPLES, "./page/metrics.js"],
        )

    return run


def test_figures_follow_from_all_replicas(metrics: Callable[[str], Any]) -> None:
    of = 'null, "scoring_request_seconds", "route", "/a"'
    assert metrics(f"m.quantile(0.25, s, {of})") == pytest.approx(0.1)
    assert metrics(f"m.quantile(0.625, s, {of})") == pytest.approx(0.15)
    assert metrics(f"m.quantile(1, s, {of})") == pytest.approx(0.2)
    assert metrics('m.quantile(1, s, s, "scoring_request_seconds", "route", "/a")') is None
    assert metrics('s.get("odd")[0].labels.label') == 'quote " comma , brace } line \n backslash \\'
    # A replica that began anew counts from zero.
    assert metrics('m.growth(new Map([["a", 2]]), new Map([["a", 5]]), "a")') == 2
