"""Everything that a call can end with but its result.

ScoringServiceError
├── InvalidRequest      400, 404, 405, 413, 415, 422, 431: the request is not one to send again
├── Unauthorized        401: no key, or not a valid one
├── Forbidden           403: the key does not allow this
├── Overloaded          429: more waits than the service takes on
│   └── QuotaExceeded   429 quota_exceeded: the caller has used what it may use
├── ServiceFailed       500 and everything else above it
│   └── Unavailable     503: the model is missing or on its way
├── DeadlinePassed      504, or the call's own time ran out
├── UnexpectedAnswer    whatever answered is not this service
└── TransportFailed     no whole answer came
    └── Unreachable     not even a connection: nothing was sent
"""


class ScoringServiceError(Exception):
    """A call without a result.

    `code` is the service's stable code (or one of the client's own: `deadline_passed`,
    `unexpected_answer`, `transport_failed`, `unreachable`), `status` the HTTP status where an
    answer came, `request_id` what finds the request in the service's log.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.status = status
        self.request_id = request_id
        self.retry_after_s = retry_after_s


class InvalidRequest(ScoringServiceError):
    """The service does not take this request, and would not take it later."""


class Unauthorized(ScoringServiceError):
    """No key, or one that the service does not know (any more)."""


class Forbidden(ScoringServiceError):
    """The key does not allow this."""


class Overloaded(ScoringServiceError):
    """The service takes on no more, and stayed so as long as the call might wait."""


class QuotaExceeded(Overloaded):
    """The caller has used what it may use."""


class ServiceFailed(ScoringServiceError):
    """A fault of the service."""


class Unavailable(ServiceFailed):
    """The service cannot score now."""


class DeadlinePassed(ScoringServiceError):
    """The call's time ran out, here or at the service."""


class UnexpectedAnswer(ScoringServiceError):
    """An answer that this service does not give: another one, or a proxy, listens there."""


class TransportFailed(ScoringServiceError):
    """The connection broke after the request had begun; whether it was scored is not known."""


class Unreachable(TransportFailed):
    """No connection could be made; nothing was sent."""


_BY_STATUS: dict[int, type[ScoringServiceError]] = {
    401: Unauthorized,
    403: Forbidden,
    429: Overloaded,
    503: Unavailable,
    504: DeadlinePassed,
}


def class_of(status: int, code: str) -> type[ScoringServiceError]:
    """The error that stands for a problem document of the service."""
    if code == "quota_exceeded":
        return QuotaExceeded
    return _BY_STATUS.get(status, ServiceFailed if status >= 500 else InvalidRequest)
