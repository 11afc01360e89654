"""Tracing that is off loads nothing, and its steps are one object that does nothing."""

import subprocess
import sys
from pathlib import Path

from deployments.tracing import NOTHING, step

ROOT = Path(__file__).parents[2]
MODULES = ("serve_app.application", "deployments.faq.deployment", "deployments.image.scorer")


def test_tracing_that_is_off_loads_nothing_of_it() -> None:
    # Ray brings OpenTelemetry's own modules along; the exporter and ours come with the setting.
    names = ("deployments.spans", "opentelemetry.exporter.otlp")
    program = f"import sys, {', '.join(MODULES)}; print(*sorted({set(names)!r} & set(sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert loaded.stdout.strip() == ""


def test_a_step_of_nothing_is_the_same_object_every_time() -> None:
    assert step(None, "decode") is NOTHING
    with step(None, "decode"), step(None, "decode"):
        pass
