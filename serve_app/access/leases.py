"""What a Router and the keeper of the quotas tell each other."""

from dataclasses import dataclass

PERIOD_S = 0.05
"""Time between two reports of a Router about the callers that it sees."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A quota of one unit: what comes back each second, and what may be there at once."""

    rate: float
    capacity: float

    @classmethod
    def of(cls, rate: float, burst_s: float) -> "Limit":
        """The limit of a quota of `rate` a second.

        A burst is at least four periods long, since less would run over between two reports, and
        at least one request or picture.

        Raises:
            ValueError: the rate is not above 0.
        """
        if not rate > 0:
            raise ValueError(f"a quota of {rate} a second is not above 0")
        return cls(rate, max(1.0, rate * max(burst_s, 4 * PERIOD_S)))


@dataclass(frozen=True, slots=True)
class Report:
    """What a Router did with its share of one bucket since it was last answered."""

    bucket: tuple[str, str]
    """Caller and unit."""
    limit: Limit
    held: float
    """Tokens that are left of its share; negative after a request larger than the share."""
    due: float
    """Tokens that its weight has brought since the last answer and that it does not count as held:
    the keeper has them, if it is still the same."""
    used: int
    wanted: int
    """Tokens that were asked for, whether they were given or not."""
    short: int
    """The largest number that was refused; 0 where none was."""
    alone: bool = False
    """Whether reports before this one were not answered, and it spent what its weight brought."""
    leaves: bool = False
    """Whether the Router gives its share back."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A Router's share of one bucket from now on."""

    held: int
    """Tokens that it may spend."""
    weight: float
    """Its part of the quota, for the time when it hears nothing more."""
    level: float
    """Tokens of the whole bucket, spent by nobody yet; negative is debt."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The keeper's answer: a grant for each report, in their order."""

    routers: int
    """Routers that there are."""
    grants: tuple[Grant, ...]
