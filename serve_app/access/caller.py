"""Who asks, and what for."""

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What a caller may be allowed to do."""

    FAQ = "faq"
    IMAGE = "image"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Quota:
    """What one caller may use: a second's worth; None is without a limit."""

    requests_per_s: float | None = None
    images_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent a request.

    `id` is the id of a key, `user:` and a digest of a token's subject, or `anonymous`: it may stand
    in logs and metrics. `quota` is the caller's own, where it has one.
    """

    id: str
    scopes: frozenset[Scope]
    quota: Quota | None = None


ANONYMOUS = Caller("anonymous", frozenset({Scope.FAQ, Scope.IMAGE}))
"""Whoever gives no credentials where none are asked for."""

LOCAL = Caller("local", frozenset(Scope))
"""Whoever gives no credentials to a service that only its own machine can reach."""
