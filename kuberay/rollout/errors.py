"""Everything that a rollout can end with but its outcome.

RolloutError
├── UnusableObjects     the files are not what can be rolled out
├── ApiError            the API server refused, or did not answer
│   ├── Unauthorized    401
│   ├── Forbidden       403
│   ├── NotFound        404
│   ├── Conflicted      409: another field manager, or another version of the object
│   ├── Gone            410: the resource version of a list or watch is too old
│   └── Unreachable     no answer
├── Refused             a dry run was refused: nothing was changed
├── InProgress          somebody else rolls out
├── NothingToReturnTo   there is no revision to roll back to
├── ChangedMeanwhile    somebody else changed the RayService during the rollout
├── NotSuspendable      the service is not in the state that the command needs
└── RolloutFailed       the rollout failed; says whether it was rolled back
"""

from collections.abc import Sequence
from dataclasses import dataclass


class RolloutError(Exception):
    """A command of `scoring rollout` without success."""


class UnusableObjects(RolloutError):
    """What was read cannot be rolled out."""


@dataclass(frozen=True)
class FieldConflict:
    """A field that another manager has set to another value."""

    owner: str
    field: str

    def __str__(self) -> str:
        return f"{self.field} belongs to {self.owner!r}"


class ApiError(RolloutError):
    """An answer of the API server that is no success; `status` is 0 where there was no answer."""

    def __init__(
        self, status: int, reason: str, message: str, conflicts: Sequence[FieldConflict] = ()
    ) -> None:
        super().__init__(message or reason or f"HTTP {status}")
        self.status = status
        self.reason = reason
        self.message = message
        self.conflicts = tuple(conflicts)


class Unauthorized(ApiError):
    """The credentials of the kubeconfig are not valid (any more)."""


class Forbidden(ApiError):
    """The user of the kubeconfig may not do this."""


class NotFound(ApiError):
    """There is no such object, or the cluster does not know its kind."""


class Conflicted(ApiError):
    """Another field manager owns a field, or the object has changed."""


class Gone(ApiError):
    """The resource version is too old to watch from."""


class Unreachable(ApiError):
    """No whole answer came."""


_BY_STATUS: dict[int, type[ApiError]] = {
    0: Unreachable,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflicted,
    410: Gone,
}


def api_error(
    status: int, reason: str, message: str, conflicts: Sequence[FieldConflict] = ()
) -> ApiError:
    """The error that stands for an HTTP status."""
    return _BY_STATUS.get(status, ApiError)(status, reason, message, conflicts)


@dataclass(frozen=True)
class Refusal:
    """One object that the dry run refused, and why."""

    object_name: str
    reason: str
    conflicts: tuple[FieldConflict, ...] = ()

    def lines(self) -> list[str]:
        """The reason, and each conflict on a line of its own."""
        if not self.conflicts:
            return [f"{self.object_name}: {self.reason}"]
        return [f"{self.object_name}: {conflict}" for conflict in self.conflicts]


class Refused(RolloutError):
    """The dry run refused objects; nothing was changed."""

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        lines = [line for refusal in refusals for line in refusal.lines()]
        if any(refusal.conflicts for refusal in refusals):
            lines.append("--force-conflicts takes the fields from their owners")
        super().__init__("\n".join(["refused, nothing was changed:", *lines]))
        self.refusals = tuple(refusals)


class InProgress(RolloutError):
    """Another rollout of the same service is in progress."""


class NothingToReturnTo(RolloutError):
    """The history has no revision to return to."""


class ChangedMeanwhile(RolloutError):
    """Somebody else changed the RayService: what it should be is not this rollout's any more."""


class NotSuspendable(RolloutError):
    """The service cannot be suspended, resumed or rolled out in its state."""


class RolloutFailed(RolloutError):
    """The rollout failed.

    `why` is one sentence, `explanation` what the cluster says about it, a line each;
    `rolled_back` whether the state before is back, `cluster` which cluster has the traffic.
    """

    def __init__(
        self, why: str, explanation: Sequence[str], *, rolled_back: bool, cluster: str | None
    ) -> None:
        super().__init__("\n".join([why, *explanation]))
        self.why = why
        self.explanation = tuple(explanation)
        self.rolled_back = rolled_back
        self.cluster = cluster
