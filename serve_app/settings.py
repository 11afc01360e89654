"""Every setting of the service: its meaning, its range and its default.

One frozen object, built once by the entry point (`serve_app.configuration`) and passed down.
Unknown keys are refused, because Ray Serve's own configuration drops them without a word.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from serve_app.access.loopback import is_loopback, is_trustworthy

if TYPE_CHECKING:
    from deployments.tracing import TracingOptions

KIB = 1024
MIB = 1024 * KIB

Count = Annotated[int, Field(ge=1)]


def _split(value: Any) -> Any:
    """`"a, b"` to `["a", "b"]`: how arguments and variables give several words."""
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    return value


Words = Annotated[tuple[str, ...], BeforeValidator(_split)]
Access = Literal["open", "admin", "off"]
"""open to everyone; to callers with the scope admin; not served at all."""


class Section(BaseModel):
    """A group of settings: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class HttpSettings(Section):
    """The front door."""

    host: str = Field(
        "127.0.0.1", description="address to listen on; loopback unless said otherwise"
    )
    port: int = Field(8000, ge=1, le=65535, description="port to listen on")
    question_limit_bytes: Count = Field(128 * KIB, description="largest body with one question")
    questions_limit_bytes: Count = Field(4 * MIB, description="largest body with many questions")
    image_limit_bytes: Count = Field(10 * MIB, description="largest picture")
    multipart_limit_bytes: Count = Field(64 * MIB, description="largest multipart body")
    deadline_s: float = Field(
        30.0,
        gt=0,
        le=3600,
        description="time a request may take; X-Request-Timeout-Ms can ask for less",
    )
    header_limit_bytes: Count = Field(16 * KIB, description="largest head of a request")
    metrics: Access = Field("open", description="who may read /metrics: open, admin or off")
    docs: Access = Field("open", description="who may read /docs and /openapi.json")
    page: bool = Field(True, description="whether GET / shows a page to try the service")
    cors_origins: Words = Field(
        (), description="origins whose pages may call the service, separated by commas; * for all"
    )
    hsts_s: int = Field(
        0,
        ge=0,
        description="seconds for Strict-Transport-Security, where a gateway in front ends TLS; 0 "
        "sends none",
    )

    @model_validator(mode="after")
    def _origins(self) -> "HttpSettings":
        for origin in self.cors_origins:
            if origin != "*" and not re.fullmatch(r"https?://[^/?#\s*@A-Z]+", origin):
                raise ValueError(
                    f"cors_origins: {origin!r} is not * or as browsers send it, such as "
                    "https://example.org or http://localhost:3000"
                )
        return self

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the service; its replicas then stay local too."""
        return is_loopback(self.host)


class Scaling(Section):
    """How many replicas a deployment has."""

    min_replicas: int = Field(1, ge=0, description="fewest replicas; 0 scales to zero when idle")
    max_replicas: Count = Field(4, description="most replicas")

    @model_validator(mode="after")
    def _ordered(self) -> "Scaling":
        if self.min_replicas > self.max_replicas:
            raise ValueError("min_replicas is above max_replicas")
        return self


class RouterSettings(Scaling):
    """The HTTP router's replicas."""

    min_replicas: int = Field(1, ge=1, description="fewest replicas")
    num_cpus: float = Field(0.25, ge=0, description="CPUs that one replica reserves")
    target_requests: Count = Field(
        200, description="requests in flight that one replica should have"
    )


class FaqSettings(Scaling):
    """The FAQ ranker."""

    num_cpus: float = Field(0.5, ge=0, description="CPUs that one replica reserves")
    model: str = Field("faq", min_length=1, description="name of the model in the registry")
    alias: str = Field("champion", min_length=1, description="alias of the version to serve")
    corpus: Path | None = Field(
        None,
        description="TSV folder to train on; without one the registered model is served, and "
        "where there is none, one trained on the embedded JavaScript questions",
    )
    embeddings: Literal["wordllama"] | None = Field(
        None,
        description="static word vectors to train with as a further feature; needs the package of "
        "the extra `embeddings`",
    )
    refresh_s: float = Field(
        5.0,
        ge=0,
        le=3600,
        description="seconds between two looks at the alias, for a new version to change to; "
        "0 stays with the version of the start, and so does a corpus",
    )
    max_batch_size: Count = Field(64, description="most questions in one call to a ranker")
    max_queue: Count = Field(2048, description="questions that may wait in one router")
    calls_per_replica: Count = Field(2, description="calls in flight for each ranker replica")
    target_questions: Count = Field(
        64, description="questions waiting and running that one replica should have"
    )


class ImageSettings(Scaling):
    """The image classifier."""

    framework: Literal["torch", "keras"] = Field(
        "torch",
        description="torch: torchvision's architectures; keras: keras.applications, with the extra "
        "`keras`",
    )
    architecture: str = Field(
        "resnet152", min_length=1, description="architecture, by the name of the framework"
    )
    weights: Path | None = Field(
        None,
        description="state dict (.pth or .safetensors) to serve; without one the registered "
        "model, and where there is none, torchvision's published weights",
    )
    preset: str | None = Field(
        None,
        description="torchvision weights entry whose transforms and labels apply, such as "
        "IMAGENET1K_V2; recognised from the file where it is a published one",
    )
    alias: str = Field("champion", min_length=1, description="alias of the version to serve")
    device: str = Field("auto", min_length=1, description="auto, cpu, cuda or cuda:N")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="number format of the forward pass"
    )
    execution: Literal["auto", "eager", "fused", "compiled", "graphs"] = Field(
        "auto",
        description="how the network runs; auto takes the fastest of a measured warm-up (fused: "
        "oneDNN's fused operations on CPUs; graphs: CUDA graphs; compiled: torch.compile, never "
        "chosen by auto because it takes minutes)",
    )
    num_cpus: float | None = Field(
        None,
        ge=0,
        description="CPUs that one replica reserves; 1 beside a GPU, else what a node has left "
        "beside the other deployments, at most 8",
    )
    num_gpus: float | None = Field(
        None, ge=0, description="GPUs that one replica reserves; 1 where the cluster has one"
    )
    threads: Count | None = Field(
        None, description="threads of one replica on CPUs; without it, the CPUs that it reserves"
    )
    max_batch_size: Count | None = Field(
        None, description="most pictures in one forward pass; measured at the start without it"
    )
    max_queue: Count | None = Field(
        None,
        description="pictures that one replica takes on beyond those of a full batch; without it, "
        "one batch more, so that an accepted picture waits for two batches at most",
    )
    target_images: Count = Field(16, description="pictures in flight that one replica should have")
    decode_threads: Count = Field(2, description="threads that decode pictures in one router")
    jpeg: Literal["exact", "scaled"] = Field(
        "exact",
        description="scaled: large JPEGs are decoded at a half, quarter or eighth of their size, "
        "as long as it is at least twice what the model wants; faster, pixels differ slightly",
    )
    max_pixels: Count = Field(
        50_000_000,
        description="most pixels of a JPEG; other formats may have a third of it, or 16.8 million "
        "where that is more",
    )
    max_aspect_ratio: float = Field(20.0, ge=1, description="most extreme long side : short side")


class GrpcSettings(Section):
    """The Open Inference Protocol over gRPC."""

    port: int = Field(8001, ge=0, le=65535, description="port of its own; 0 switches gRPC off")


class AuthSettings(Section):
    """Who may come in."""

    anonymous: bool = Field(
        False,
        description="lets callers without credentials score; without it a service that others can "
        "reach does not start without keys or an issuer",
    )
    keys: Path | None = Field(
        None,
        description="file with the hashes of API keys (`scoring keys`), read again when it "
        "changes; without it keys.json in the data folder",
    )
    issuer: str | None = Field(
        None, description="OpenID Connect issuer whose user tokens (JWT) are accepted"
    )
    audience: str | None = Field(None, description="audience that a user token must have")
    client_id: str | None = Field(
        None, description="public client by which the page signs users in at the issuer"
    )
    page_scopes: Words = Field(
        ("openid",), description="scopes that the page asks the issuer for when a user signs in"
    )
    scopes: Words = Field(
        ("faq=faq", "image=image", "admin=admin"),
        description="which entry of a token's roles or scp gives which scope: scope=entry, "
        "separated by commas",
    )
    leeway_s: float = Field(
        60.0, ge=0, le=600, description="how far the clocks of issuer and service may differ"
    )

    @model_validator(mode="after")
    def _complete(self) -> "AuthSettings":
        if self.issuer is not None and self.audience is None:
            raise ValueError("issuer needs an audience")
        if self.issuer is not None and not is_trustworthy(self.issuer):
            raise ValueError("issuer is not an https URL (http is for loopback alone)")
        for pair in self.scopes:
            scope, equals, entry = pair.partition("=")
            if scope not in ("faq", "image", "admin") or not equals or not entry:
                raise ValueError(f"scopes: {pair!r} is not faq=, image= or admin= and an entry")
        return self


class QuotaSettings(Section):
    """What one caller may use, over all replicas; a key can have a quota of its own."""

    requests_per_s: float | None = Field(None, gt=0, description="requests a second of one caller")
    images_per_s: float | None = Field(None, gt=0, description="pictures a second of one caller")
    burst_s: float = Field(
        1.0, gt=0, le=3600, description="seconds' worth of the quota that may come at once"
    )


class TracingSettings(Section):
    """OpenTelemetry."""

    endpoint: str | None = Field(
        None,
        description="OTLP receiver (HTTP, such as http://collector:4318/v1/traces); without one "
        "nothing is traced",
    )
    sample_ratio: float = Field(
        0.1, ge=0, le=1, description="share of the requests traced that come without a decision"
    )

    @property
    def options(self) -> "TracingOptions | None":
        """What a replica needs to know; None where nothing is traced."""
        # Here, because clients read settings' neighbours and need nothing of the deployments.
        from deployments.tracing import TracingOptions

        return TracingOptions(self.endpoint, self.sample_ratio) if self.endpoint else None


class CaptureSettings(Section):
    """Payloads kept for later study: off unless a share is set."""

    sample_ratio: float = Field(0.0, ge=0, le=1, description="share of the requests captured")
    max_bytes: int = Field(64 * MIB, ge=4 * KIB, description="size at which the file is rotated")
    files: Count = Field(2, description="rotated files that are kept")


class RegistrySettings(Section):
    """The model registry."""

    uri: str | None = Field(
        None, description="MLflow registry URI; without one, SQLite in the data folder"
    )


class LogSettings(Section):
    """The request log."""

    max_bytes: int = Field(64 * MIB, ge=4 * KIB, description="size at which the log is rotated")
    files: Count = Field(5, description="rotated files that are kept")


class Settings(Section):
    """All settings. Flat keys (`image.architecture`) are nested before validation."""

    data_dir: Path = Field(
        Path(".scoring"), description="folder for registry, models, downloads and logs"
    )
    http: HttpSettings = HttpSettings()
    grpc: GrpcSettings = GrpcSettings()
    auth: AuthSettings = AuthSettings()
    quota: QuotaSettings = QuotaSettings()
    router: RouterSettings = RouterSettings()
    faq: FaqSettings = FaqSettings()
    image: ImageSettings = ImageSettings()
    registry: RegistrySettings = RegistrySettings()
    log: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()
    capture: CaptureSettings = CaptureSettings()

    @model_validator(mode="before")
    @classmethod
    def _nest(cls, data: Any) -> Any:
        return nest(data) if isinstance(data, dict) else data

    @property
    def log_file(self) -> Path:
        """The request log, one JSON object a line."""
        return self.data_dir / "logs" / "requests.jsonl"

    @property
    def keys_file(self) -> Path:
        """The hashes of API keys."""
        return self.auth.keys or self.data_dir / "keys.json"

    @property
    def capture_file(self) -> Path:
        """Captured payloads, one JSON object a line."""
        return self.data_dir / "captured" / "payloads.jsonl"

    @property
    def tuning(self) -> Path:
        """What the warm-ups of image models measured on this machine."""
        return self.data_dir / "tuning"

    @property
    def registry_uri(self) -> str:
        """The registry's URI, with the local default filled in."""
        return self.registry.uri or f"sqlite:///{self.data_dir / 'registry.db'}"


def nest(flat: dict[str, Any]) -> dict[str, Any]:
    """`{"image.weights": x}` to `{"image": {"weights": x}}`; nested mappings pass unchanged.

    Raises:
        ValueError: a key is given twice, flat and nested.
    """
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        section, dot, field = str(key).partition(".")
        fresh = {field: value} if dot else value
        present = nested.get(section)
        if isinstance(present, dict) and isinstance(fresh, dict):
            if twice := present.keys() & fresh.keys():
                raise ValueError(f"{section}.{min(twice)} is given twice")
            nested[section] = {**present, **fresh}
        elif section in nested:
            raise ValueError(f"{key} is given twice")
        else:
            nested[section] = fresh
    return nested
