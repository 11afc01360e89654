"""The steps of a run, as the command line names them."""

from dataclasses import dataclass
from typing import Literal

from serve_app.load.traffic import Step

Kind = Literal["closed", "open"]
UNITS: dict[Kind, str] = {"closed": "connections", "open": "requests/s"}


@dataclass(frozen=True)
class Plan:
    """A closed or an open loop, and its steps, the warm-up first where there is one."""

    kind: Kind
    steps: tuple[Step, ...]
    warm_up_steps: int

    @property
    def unit(self) -> str:
        """What the load of a step counts."""
        return UNITS[self.kind]

    @property
    def seconds(self) -> float:
        """How long it takes, without the last answers."""
        return sum(step.duration_s for step in self.steps)


def plan(
    kind: Kind, loads: tuple[float, float], *, steps: int, seconds: float, warm_up_s: float
) -> Plan:
    """From the first load to the second in `steps` of equal height, `seconds` for all of them.

    Raises:
        ValueError: a load or time that is not above 0, or a closed loop that is to shrink
    """
    first, last = loads
    if min(first, last) <= 0 or seconds <= 0 or warm_up_s < 0:
        raise ValueError("loads and times must be above 0")
    if kind == "closed" and last < first:
        raise ValueError("connections can only become more")
    if first == last:
        steps = 1
    height = (last - first) / (steps - 1) if steps > 1 else 0.0
    levels = [first + number * height for number in range(steps)]
    if kind == "closed":
        levels = [round(level) for level in levels]
    found = [Step(level, seconds / steps) for level in levels]
    warm_up = [Step(levels[0], warm_up_s)] if warm_up_s > 0 else []
    return Plan(kind, (*warm_up, *found), len(warm_up))
