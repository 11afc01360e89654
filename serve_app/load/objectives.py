"""What a load test is to show: `p99<50ms`, `errors<0.1%`, `rate>1000/s`."""

import re
from dataclasses import dataclass

from serve_app.load.record import PERCENTILES, Figures

FORM = re.compile(
    r"\s*(?P<name>p50|p90|p95|p99\.9|p99|max|errors|refused|rate)"
    r"\s*(?P<than><=|>=|<|>)\s*(?P<number>\d{1,12}(?:\.\d{1,9})?)\s*(?P<unit>ms|s|%|/s)\s*",
    re.ASCII,
)
LATENCY_UNITS = {"ms": 1.0, "s": 1000.0}
HELP = "p50, p90, p95, p99, p99.9 or max in ms or s; errors or refused in %; rate in /s"


@dataclass(frozen=True)
class Objective:
    """A bound of one figure, in the figure's own unit: milliseconds, percent or per second."""

    text: str
    name: str
    than: str
    bound: float

    def measured(self, figures: Figures) -> float | None:
        """The figure; None where nothing was answered, which misses every bound of a latency."""
        if self.name in PERCENTILES:
            return None if figures.latency_ms is None else figures.latency_ms[self.name]
        if self.name == "rate":
            return figures.rate_per_s
        share = figures.error_share if self.name == "errors" else figures.refused_share
        return 100 * share

    def is_met(self, figures: Figures) -> bool:
        """Whether the figure keeps within the bound; a run without a request keeps none."""
        found = self.measured(figures)
        if found is None or figures.sent == 0:
            return False
        if self.than == "<":
            return found < self.bound
        if self.than == "<=":
            return found <= self.bound
        return found > self.bound if self.than == ">" else found >= self.bound


def parse_objective(text: str) -> Objective:
    """Raises ValueError, with what is allowed, for anything else."""
    match = FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no objective such as 'p99<50ms': {HELP}")
    name, than, unit = match["name"], match["than"], match["unit"]
    number = float(match["number"])
    if name in PERCENTILES:
        if unit in LATENCY_UNITS:
            return Objective(text.strip(), name, than, number * LATENCY_UNITS[unit])
    elif unit == ("/s" if name == "rate" else "%"):
        return Objective(text.strip(), name, than, number)
    raise ValueError(f"{text!r}: {name} is not measured in {unit}: {HELP}")
