"""The outcome of a load test as a table and as JSON."""

from collections.abc import Sequence
from typing import Any

from serve_app.load.objectives import Objective
from serve_app.load.record import PERCENTILES, Figures, Record

HEADER = ("", "sent", "answered/s", *(f"{name} ms" for name in PERCENTILES), "429", "errors")


def table_rows(record: Record, unit: str) -> list[tuple[str, ...]]:
    """A row for each step, and one for all; the header first."""
    steps = record.by_step()
    rows = [HEADER]
    if len(steps) > 1:
        rows += [_row(f"{step.load:g} {unit}", step) for step in steps]
    return [*rows, _row("all", record.total())]


def objective_rows(objectives: Sequence[Objective], figures: Figures) -> list[tuple[str, str, str]]:
    """Each objective, what was measured, and whether it is met."""
    rows = [("objective", "measured", "")]
    for each in objectives:
        found = each.measured(figures)
        verdict = "met" if each.is_met(figures) else "MISSED"
        rows.append((each.text, "nothing" if found is None else f"{found:.4g}", verdict))
    return rows


def to_json(
    record: Record,
    objectives: Sequence[Objective],
    about: dict[str, Any],
    unix_at_zero_s: float = 0.0,
) -> object:
    """Everything that the table says, and `about`; latencies in milliseconds.

    `unix_at_zero_s` is Unix time where the record's clock stands at 0.
    """
    total = record.total()
    return {
        **about,
        "total": _json(total),
        "steps": [_json(step) for step in record.by_step()],
        "retries": record.retries,
        "error_kinds": dict(record.kinds),
        "failures": [
            {"at_unix_s": round(unix_at_zero_s + each.at_s, 3), "kind": each.kind}
            for each in record.failures
        ],
        "objectives": [
            {"objective": each.text, "measured": each.measured(total), "met": each.is_met(total)}
            for each in objectives
        ],
    }


def _row(name: str, figures: Figures) -> tuple[str, ...]:
    latency = figures.latency_ms
    cells = ["-"] * len(PERCENTILES) if latency is None else [_ms(ms) for ms in latency.values()]
    rate = f"{figures.rate_per_s:,.1f}"
    return name, f"{figures.sent:,}", rate, *cells, f"{figures.refused:,}", f"{figures.errors:,}"


def _ms(value: float) -> str:
    return f"{value:,.2f}" if value < 10 else f"{value:,.1f}"


def _json(figures: Figures) -> dict[str, Any]:
    return {
        "load": figures.load,
        "seconds": figures.seconds,
        "sent": figures.sent,
        "answered": figures.answered,
        "refused": figures.refused,
        "errors": figures.errors,
        "rate_per_s": figures.rate_per_s,
        "latency_ms": figures.latency_ms,
    }
