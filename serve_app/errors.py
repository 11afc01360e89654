"""Every error that a client can meet, and its form on the wire (RFC 9457).

    ScoringError
    ├── MalformedJson            400  malformed_json
    ├── HeaderNotAllowed         400  header_not_allowed
    ├── CredentialsMissing       401  credentials_missing
    ├── CredentialsInvalid       401  credentials_invalid
    ├── CredentialsExpired       401  credentials_expired
    ├── ScopeMissing             403  scope_missing
    ├── NotFound                 404  not_found
    ├── MethodNotAllowed         405  method_not_allowed
    ├── BodyTooLarge             413  body_too_large
    ├── UnsupportedMediaType     415  unsupported_media_type
    ├── InvalidRequest           422  invalid_request
    │   ├── MissingField              missing_field
    │   ├── InvalidField              invalid_field
    │   ├── UnknownField              unknown_field
    │   ├── ContradictoryFields       contradictory_fields
    │   ├── OutOfRange                out_of_range
    │   ├── QuestionEmpty             question_empty
    │   ├── QuestionTooLong           question_too_long
    │   ├── InvalidBase64             invalid_base64
    │   ├── InvalidMultipart          invalid_multipart
    │   ├── ImageEmpty                image_empty
    │   ├── NotAnImage                not_an_image
    │   ├── ImageFormatUnsupported    image_format_unsupported
    │   ├── ImageTruncated            image_truncated
    │   ├── ImageTooManyPixels        image_too_many_pixels
    │   ├── ImageTooExtremeShape      image_too_extreme_shape
    │   └── ImageMetadataTooLarge     image_metadata_too_large
    ├── Overloaded               429  overloaded
    ├── QuotaExceeded            429  quota_exceeded
    ├── HeadersTooLarge          431  headers_too_large
    ├── InternalError            500  internal_error
    ├── ModelUnavailable         503  model_unavailable
    ├── ModelLoading             503  model_loading
    ├── OutOfMemory              503  out_of_memory
    ├── IssuerUnavailable        503  issuer_unavailable
    └── DeadlinePassed           504  deadline_passed

Handlers raise; `Problem.of` alone turns an error into an answer, so no handler picks a status.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

PROBLEM_TYPE_PREFIX = "urn:realtime-scoring:problem:"


class ScoringError(Exception):
    """An error with a stable code and an HTTP status. `detail` is written for the client."""

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, detail: str, *, field: str | None = None, retry_after_s: int | None = None):
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.retry_after_s = retry_after_s

    def problem(self) -> dict[str, Any]:
        """The problem document (RFC 9457, section 3.1) with `code` and, where known, `field`."""
        document: dict[str, Any] = {
            "type": PROBLEM_TYPE_PREFIX + self.code,
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.field is not None:
            document["field"] = self.field
        return document

    def message(self) -> str:
        """One line for protocols that carry no more: `detail`, after the field where known."""
        if self.field is None or self.field in self.detail:
            return self.detail
        return f"{self.field}: {self.detail}"

    def headers(self) -> dict[str, str]:
        """Headers that go with the answer: `Retry-After` (seconds) where waiting helps."""
        return {} if self.retry_after_s is None else {"retry-after": str(self.retry_after_s)}


class MalformedJson(ScoringError):
    """The body is not JSON (RFC 8259) in UTF-8."""

    status, code, title = 400, "malformed_json", "The body is not valid JSON"


class HeaderNotAllowed(ScoringError):
    """A header that belongs to one connection and not to a request, or names such a one."""

    status, code, title = 400, "header_not_allowed", "A header is not allowed"


class _Unauthorized(ScoringError):
    """Nobody who may come in."""

    status = 401

    def headers(self) -> dict[str, str]:
        """`WWW-Authenticate`, which RFC 9110, section 15.5.2, demands (RFC 6750, section 3)."""
        return {**super().headers(), "www-authenticate": self._challenge}

    _challenge = 'Bearer realm="realtime-scoring"'


class CredentialsMissing(_Unauthorized):
    """The request carries neither a key nor a token."""

    code, title = "credentials_missing", "A key or a token is needed"


class CredentialsInvalid(_Unauthorized):
    """The key or token is not one that this service knows or trusts."""

    code, title = "credentials_invalid", "The key or token is not valid"
    _challenge = 'Bearer realm="realtime-scoring", error="invalid_token"'


class CredentialsExpired(_Unauthorized):
    """The key or token was valid once."""

    code, title = "credentials_expired", "The key or token has expired"
    _challenge = 'Bearer realm="realtime-scoring", error="invalid_token"'


class ScopeMissing(ScoringError):
    """The caller is known, and may not do this."""

    status, code, title = 403, "scope_missing", "The key or token does not allow this"


class NotFound(ScoringError):
    """No such route."""

    status, code, title = 404, "not_found", "There is nothing at this path"


class MethodNotAllowed(ScoringError):
    """The route exists, the method does not."""

    status, code, title = 405, "method_not_allowed", "The route does not take this method"

    def __init__(self, detail: str, *, allow: str):
        super().__init__(detail)
        self.allow = allow

    def headers(self) -> dict[str, str]:
        """`Allow`, which RFC 9110, section 15.5.6, demands."""
        return {"allow": self.allow}


class BodyTooLarge(ScoringError):
    """The body is over the limit of its kind."""

    status, code, title = 413, "body_too_large", "The body is over its limit"


class UnsupportedMediaType(ScoringError):
    """The route does not read this content type."""

    status, code, title = 415, "unsupported_media_type", "The content type is not supported"


class InvalidRequest(ScoringError):
    """The body parses but says something that the route does not take."""

    status, code, title = 422, "invalid_request", "The request is not valid"


class MissingField(InvalidRequest):
    """A required field or part is absent."""

    code, title = "missing_field", "A required field is missing"


class InvalidField(InvalidRequest):
    """A field has the wrong type."""

    code, title = "invalid_field", "A field has the wrong type"


class UnknownField(InvalidRequest):
    """A field that the route does not know."""

    code, title = "unknown_field", "A field is unknown"


class ContradictoryFields(InvalidRequest):
    """Fields that exclude each other."""

    code, title = "contradictory_fields", "Fields contradict each other"


class OutOfRange(InvalidRequest):
    """A number or a count outside its range."""

    code, title = "out_of_range", "A value is out of range"


class QuestionEmpty(InvalidRequest):
    """A question without a visible character."""

    code, title = "question_empty", "The question is empty"


class QuestionTooLong(InvalidRequest):
    """A question over 8,192 characters."""

    code, title = "question_too_long", "The question is too long"


class InvalidBase64(InvalidRequest):
    """`image` is not base64 (RFC 4648, section 4)."""

    code, title = "invalid_base64", "The image is not valid base64"


class InvalidMultipart(InvalidRequest):
    """A multipart body that does not parse (RFC 7578)."""

    code, title = "invalid_multipart", "The multipart body is not valid"


class ImageEmpty(InvalidRequest):
    """A file without a byte."""

    code, title = "image_empty", "The file is empty"


class NotAnImage(InvalidRequest):
    """Bytes that are no picture."""

    code, title = "not_an_image", "The file is not an image"


class ImageFormatUnsupported(InvalidRequest):
    """A picture in a format that is not read."""

    code, title = "image_format_unsupported", "The image's format is not supported"


class ImageTruncated(InvalidRequest):
    """A picture that ends early or is damaged."""

    code, title = "image_truncated", "The image is truncated or damaged"


class ImageTooManyPixels(InvalidRequest):
    """A picture over the limit of pixels."""

    code, title = "image_too_many_pixels", "The image has too many pixels"


class ImageTooExtremeShape(InvalidRequest):
    """A picture that is too long for its width."""

    code, title = "image_too_extreme_shape", "The image has too extreme a shape"


class ImageMetadataTooLarge(InvalidRequest):
    """A picture whose text or profiles are over their limit."""

    code, title = "image_metadata_too_large", "The image's metadata is too large"


class Overloaded(ScoringError):
    """More work waits than the service takes on."""

    status, code, title = 429, "overloaded", "The service is overloaded"


class QuotaExceeded(ScoringError):
    """The caller has used what it may use; `policy` and `limit` are fields of the IETF's draft."""

    status, code, title = 429, "quota_exceeded", "The quota is used up"

    def __init__(self, detail: str, *, retry_after_s: int, policy: str, limit: str):
        super().__init__(detail, retry_after_s=retry_after_s)
        self.policy = policy
        self.limit = limit

    def headers(self) -> dict[str, str]:
        """`Retry-After`, and `RateLimit` fields (draft-ietf-httpapi-ratelimit-headers)."""
        fields = {"ratelimit-policy": self.policy, "ratelimit": self.limit}
        return {**super().headers(), **fields}


class HeadersTooLarge(ScoringError):
    """The request's headers are over their limit."""

    status, code, title = 431, "headers_too_large", "The headers are over their limit"


class InternalError(ScoringError):
    """A fault of ours; the log has the trace, the client the request id."""

    status, code, title = 500, "internal_error", "The service failed"


class ModelUnavailable(ScoringError):
    """The model is not there; `detail` says what is missing and how to supply it."""

    status, code, title = 503, "model_unavailable", "The model is not available"


class ModelLoading(ScoringError):
    """The model is on its way."""

    status, code, title = 503, "model_loading", "The model is still loading"


class OutOfMemory(ScoringError):
    """The model's device has no memory left for this picture."""

    status, code, title = 503, "out_of_memory", "The device is out of memory"


class IssuerUnavailable(ScoringError):
    """A user token cannot be checked, because its issuer does not answer."""

    status, code, title = 503, "issuer_unavailable", "Tokens cannot be checked now"


class DeadlinePassed(ScoringError):
    """The request's time ran out before it was scored."""

    status, code, title = 504, "deadline_passed", "The deadline has passed"


def error_classes(root: type[ScoringError] = ScoringError) -> Iterator[type[ScoringError]]:
    """Every concrete error below `root`, parents first."""
    for error in root.__subclasses__():
        if not error.__name__.startswith("_"):
            yield error
        yield from error_classes(error)


IMAGE_ERRORS: dict[str, type[InvalidRequest]] = {
    error.code: error
    for error in (
        ImageEmpty,
        NotAnImage,
        ImageFormatUnsupported,
        ImageTruncated,
        ImageTooManyPixels,
        ImageTooExtremeShape,
        ImageMetadataTooLarge,
    )
}
"""From the code of a decoding error to the error that the client gets."""
