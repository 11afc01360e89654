"""Stand-ins for what Ray Serve gives a gRPC method."""

from collections.abc import Sequence

from grpc import StatusCode


class FakeContext:
    """Remembers what a method sets, as `RayServegRPCContext` does."""

    def __init__(self, **metadata: str) -> None:
        self.code: StatusCode | None = None
        self.details = ""
        self.trailing: list[tuple[str, str]] = [("request_id", "id-1")]
        self._metadata = [(name.replace("_", "-"), value) for name, value in metadata.items()]

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]]:
        return self._metadata

    def trailing_metadata(self) -> Sequence[tuple[str, str]]:
        return self.trailing

    def set_trailing_metadata(self, trailing_metadata: list[tuple[str, str]]) -> None:
        self.trailing = self.trailing[:1] + trailing_metadata

    def set_code(self, code: StatusCode) -> None:
        self.code = code

    def set_details(self, details: str) -> None:
        self.details = details
