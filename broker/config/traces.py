"""The table `[traces]`, and what OpenTelemetry's own variables say in its place."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from broker.config.binding import Problem
from broker.config.layers import Layers, Origin
from broker.wording import KeyPath

FOR_TRACES = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
FOR_ALL = "OTEL_EXPORTER_OTLP_ENDPOINT"

PATH = "/v1/traces"
"""Where a collector takes spans, unless an endpoint names another path."""

_ENDPOINT = ("traces", "endpoint")


def _whole(endpoint: str) -> str:
    """Return a URL with the path of traces if it has none; raises ValueError."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("expected a URL like http://127.0.0.1:4318")
    return endpoint if parts.path not in ("", "/") else _with_path(endpoint)


def _with_path(endpoint: str) -> str:
    """Return a URL with the path of traces behind its own, and its query behind that."""
    base, mark, query = endpoint.partition("?")
    return base.rstrip("/") + PATH + mark + query


class TracesConfig(BaseModel):
    """The table `[traces]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: Annotated[str, AfterValidator(_whole)] | None = Field(
        default=None,
        description="Where spans are sent, by OTLP over HTTP; none: nothing is traced.",
    )
    service_name: str | None = Field(
        default=None,
        min_length=1,
        description="What the broker is called in traces; none: `OTEL_SERVICE_NAME`, else "
        "replika-broker.",
    )
    sampler: (
        Literal[
            "always_on",
            "always_off",
            "traceidratio",
            "parentbased_always_on",
            "parentbased_always_off",
            "parentbased_traceidratio",
        ]
        | None
    ) = Field(
        default=None,
        description="Which traces are recorded, by OpenTelemetry's names; none: "
        "`parentbased_traceidratio` with a ratio, else `OTEL_TRACES_SAMPLER`, else all but those "
        "that a caller does not record.",
    )
    ratio: float | None = Field(
        default=None,
        ge=0,
        le=1,
        strict=True,
        description="Which share of the traces that begin here is recorded.",
    )
    resource: dict[str, str] = Field(
        default={}, description="What else traces tell of this broker, by OpenTelemetry's names."
    )

    @field_validator("ratio")
    @classmethod
    def _belongs_to_the_sampler(cls, ratio: float | None, info: ValidationInfo) -> float | None:
        sampler = info.data.get("sampler")
        if ratio is not None and sampler is not None and not sampler.endswith("traceidratio"):
            raise ValueError(f'"{sampler}" takes no ratio; remove one of both')
        return ratio


def add_opentelemetry(layers: Layers) -> None:
    """Lay over what there is what the variables for all programs with OpenTelemetry say."""
    layers.add(_read(), _origin)


def _read() -> dict[str, Any]:
    environ = os.environ
    is_off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    exporters = environ.get("OTEL_TRACES_EXPORTER") or "otlp"  # empty is unset, here and elsewhere
    if is_off or exporters != "otlp":
        return {}
    endpoint = environ.get(FOR_TRACES)
    if not endpoint and (base := environ.get(FOR_ALL)):
        endpoint = _with_path(base)
    return {"traces": {"endpoint": endpoint}} if endpoint else {}


def _origin(_path: KeyPath) -> Origin:
    name = FOR_TRACES if os.environ.get(FOR_TRACES) else FOR_ALL
    return Origin(label=f"environment variable {name}", text=True)


def check_traces(
    traces: TracesConfig, layers: Layers
) -> tuple[TracesConfig, list[Problem], list[str]]:
    """Return what can be traced, what is wrong, and what is odd.

    An environment that means all programs of a machine is no mistake where nothing can trace."""
    if traces.endpoint is None:
        return traces, [], []
    source = layers.source(_ENDPOINT)
    if "@" in urlsplit(traces.endpoint).netloc:
        reason = f"holds credentials; give them in OTEL_EXPORTER_OTLP_HEADERS{source}"
        return traces, [Problem(_ENDPOINT, reason)], []
    if _can_send():
        return traces, [], []
    needs = "needs OpenTelemetry: pip install 'replika-broker[otel]'"
    problem = Problem(_ENDPOINT, f"{needs}{source}")
    if layers.origin(_ENDPOINT) == _origin(_ENDPOINT):
        off = traces.model_copy(update={"endpoint": None})
        return off, [], [f"{problem}; nothing is traced"]
    return traces, [problem], []


def _can_send() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False
