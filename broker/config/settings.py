"""The config: `broker.toml`, then the environment, then secrets, then options, all validated.

Later wins, key by key:

1. the defaults of the models below and of the plugins' schemas; for `traces.endpoint`, what
   OpenTelemetry's own variables say
2. the file: `--config`, else `BROKER_CONFIG`, else `broker.toml` in the current directory
3. `BROKER__SECTION__KEY` from the environment, `BROKER__PLUGINS__AUTH_JWT__LEEWAY=5` for example
4. the directory that `BROKER_SECRETS_DIR` names: a file a key, `plugins/auth_jwt/secret`, or
   `plugins__auth_jwt__secret` where a directory can only be flat
5. options of the command line

Names of variables and of secrets are not case-sensitive and mean lower-case keys. Their text is
read as what the key wants: a number, true or false (also 1, 0, yes, no, on, off), an array as
JSON or as parts between commas. Each must be a key that exists, like those of the file.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from broker.addresses import read_proxies
from broker.config.binding import Problem, bind
from broker.config.layers import Layers
from broker.config.log import LogConfig
from broker.config.sources import (
    from_command_line,
    from_environment,
    from_file,
    from_secrets,
    read_environment,
    read_secrets,
    read_toml,
)
from broker.config.traces import TracesConfig, add_opentelemetry, check_traces
from broker.errors import ConfigError, StartupError
from broker.wording import MASK, did_you_mean, quoted, shown

DEFAULT_FILE = Path("broker.toml")

ON_BY_DEFAULT = ("rest", "log", "openapi")
"""Built-in plugins that run unless `broker.disable` names them."""

FALLBACKS = MappingProxyType({"memory": "a storage", "scopes": "an authorizer"})
"""Built-in plugins, by what they provide; they run when no enabled plugin does."""

DEV_CERTIFICATE, DEV_KEY = "dev-cert.pem", "dev-key.pem"
"""What `tls = "dev"` makes in the data directory."""


class TlsConfig(BaseModel):
    """The value `server.tls`, when it is a table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cert: Path = Field(
        description="A PEM file: the certificate, then those that lead to its authority; relative "
        "to the directory of this file."
    )
    key: Path = Field(description="A PEM file: its key, without a password; relative, too.")


def _check_proxies(text: str) -> str:
    read_proxies(text)
    return text


class ServerConfig(BaseModel):
    """The table `[server]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(default="127.0.0.1", min_length=1, description="The address to listen at.")
    port: int = Field(
        default=8777, ge=0, le=65535, strict=True, description="The port; 0 takes a free one."
    )
    http_server: Literal["hypercorn", "granian"] = Field(
        default="hypercorn",
        description="What speaks HTTP: hypercorn or granian.",
    )
    tls: Literal["dev"] | TlsConfig | None = Field(
        default=None,
        description='For HTTPS: a certificate and its key, or "dev" for one that is made to try '
        "it.",
    )
    trusted_proxies: tuple[Annotated[str, AfterValidator(_check_proxies)], ...] = Field(
        default=(),
        description="Addresses and networks of proxies that tell in X-Forwarded-For whose request "
        "they pass on.",
    )
    max_requests: int = Field(
        default=1000,
        ge=1,
        strict=True,
        description="How many requests are worked at, at one time; more are answered 503.",
    )
    max_connections: int | None = Field(
        default=None,
        ge=1,
        strict=True,
        description="How many connections there may be at once; none: what open files allow.",
    )
    unready_seconds: float = Field(
        default=0,
        ge=0,
        le=3600,
        strict=True,
        description="How long the broker goes on serving when it is told to stop, while `/readyz` "
        "is 503 already.",
    )
    shutdown_seconds: float = Field(
        default=10,
        ge=0,
        le=3600,
        strict=True,
        description="How long requests in flight may take to finish when the broker stops.",
    )
    log_level: Literal["debug", "info", "warning", "error", "critical"] = Field(
        default="info", description="The least severity that is logged."
    )


class BrokerConfig(BaseModel):
    """The table `[broker]`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    environment: Literal["development", "production"] = Field(
        default="development",
        description='What the broker is for; "production" refuses what is for development only, '
        "and plugins tell strangers less.",
    )
    plugins: tuple[str, ...] = Field(
        default=(), description="The plugins that run, in the order in which they are asked."
    )
    disable: tuple[Literal["rest", "log", "openapi"], ...] = Field(
        default=(), description="Built-in plugins that shall not run."
    )
    storage: str | None = Field(
        default=None, description="Which plugin keeps the messages, if several could."
    )
    anonymous: bool = Field(
        default=False,
        strict=True,
        description="Whether requests without credentials may do everything.",
    )
    require_receipt: bool = Field(
        default=False,
        strict=True,
        description="Whether a message can be settled with its receipt only.",
    )
    max_queues: int = Field(
        default=10_000,
        ge=1,
        strict=True,
        description="How many queues there may be; making one more is answered 429.",
    )
    max_waiting: int = Field(
        default=10_000,
        ge=1,
        strict=True,
        description="How many requests may wait for messages at one time; more are answered 503.",
    )
    max_waiting_per_identity: int = Field(
        default=1000,
        ge=1,
        strict=True,
        description="How many of them may be of one identity, or of one address without one; more "
        "are answered 429.",
    )
    max_streams: int = Field(
        default=1000,
        ge=1,
        strict=True,
        description="How many streams there may be at one time; more are answered 429.",
    )
    max_streams_per_identity: int = Field(
        default=30,
        ge=1,
        strict=True,
        description="How many of them may be of one identity, or of one address without one; more "
        "are answered 429.",
    )
    data_dir: Path = Field(
        default=Path(),
        description="Where plugins keep files; relative to the directory of this file.",
    )


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """A validated config. The tables of plugins are raw: `broker.plugins` binds them."""

    server: ServerConfig = msgspec.field(default_factory=ServerConfig)
    broker: BrokerConfig = msgspec.field(default_factory=BrokerConfig)
    log: LogConfig = msgspec.field(default_factory=LogConfig)
    traces: TracesConfig = msgspec.field(default_factory=TracesConfig)
    plugins: Mapping[str, Mapping[str, Any]] = msgspec.field(default_factory=dict)
    path: Path | None = None
    """The file it was read from."""
    warnings: tuple[str, ...] = ()
    """What is odd but no error, one line each."""
    layers: Layers = msgspec.field(default_factory=Layers)
    """Where each value came from."""

    def __repr__(self) -> str:
        # The raw tables of plugins may hold secrets.
        return f"Config(path={self.path}, enabled={self.enabled})"

    @property
    def enabled(self) -> tuple[str, ...]:
        """The names of all plugins that run: those listed, then built-ins that are on."""
        default = (name for name in ON_BY_DEFAULT if name not in self.broker.disable)
        return tuple(dict.fromkeys((*self.broker.plugins, *default)))


class RefusedConfig(ConfigError):
    """The config has these problems; `config` is what is sound of it."""

    def __init__(self, config: Config, findings: Sequence[Problem]) -> None:
        super().__init__(_report(config, findings))
        self.config = config
        self.findings = findings


def read_config(path: Path | None = None, *, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read and validate the config; `overrides` are tables of what options said, None for "not
    given". Raises ConfigError with every problem at once, but those of the plugins' tables."""
    file = path or Path(os.environ.get("BROKER_CONFIG") or DEFAULT_FILE)
    directory = file.absolute().parent
    layers = Layers(directory)
    add_opentelemetry(layers)
    layers.add(read_toml(file), from_file(file))
    layers.add(read_environment(), from_environment)
    if secrets := os.environ.get("BROKER_SECRETS_DIR"):
        layers.add(read_secrets(Path(secrets)), from_secrets(Path(secrets)))
    layers.add(overrides or {}, from_command_line)
    return _checked(layers, path=file, directory=directory)


def make_config(data: Mapping[str, Any]) -> Config:
    """Validate a config that a program made: no file, no environment but what `data` refers to.

    Relative paths are relative to the current directory.
    """
    directory = Path.cwd()
    layers = Layers(directory)
    layers.add(data)
    return _checked(layers, path=None, directory=directory)


def refusal(config: Config, findings: Sequence[Problem | StartupError]) -> StartupError:
    """Return the one error that reports everything that was found, a line each."""
    if len(findings) == 1 and isinstance(findings[0], StartupError):
        return findings[0]
    return ConfigError(_report(config, findings))


def _report(config: Config, findings: Sequence[Problem | StartupError]) -> str:
    source = "config" if config.path is None else str(config.path)
    if len(findings) == 1:
        return f"{source}: {findings[0]}"
    lines = [f"{source}: {len(findings)} problems", *(f"  {finding}" for finding in findings)]
    return "\n".join(lines)


def _checked(layers: Layers, *, path: Path | None, directory: Path) -> Config:
    problems = list(_misshapen(layers))
    server, found = _section(ServerConfig, "server", layers)
    problems += found
    broker, found = _section(BrokerConfig, "broker", layers)
    problems += found
    log, found = _section(LogConfig, "log", layers)
    problems += found
    traces, found = _section(TracesConfig, "traces", layers)
    problems += found
    traces, found, warnings = check_traces(traces, layers)
    problems += found
    plugins = layers.values.get("plugins", {})
    plugins = plugins if isinstance(plugins, dict) else {}
    config = Config(
        server=_anchored(server, directory),
        broker=broker.model_copy(update={"data_dir": directory / broker.data_dir}),
        log=log,
        traces=traces,
        plugins={name: table for name, table in plugins.items() if isinstance(table, dict)},
        path=path,
        layers=layers,
    )
    problems += _contradictions(config)
    problems += _only_for_development(config)
    if not any(problem.path[:2] == ("broker", "plugins") for problem in problems):
        problems += _unmet_choice(config)
    if problems:
        raise RefusedConfig(config, problems)
    return msgspec.structs.replace(config, warnings=(*_warnings(config), *warnings))


def _anchored(server: ServerConfig, directory: Path) -> ServerConfig:
    if not isinstance(server.tls, TlsConfig):
        return server
    files = {"cert": directory / server.tls.cert, "key": directory / server.tls.key}
    return server.model_copy(update={"tls": server.tls.model_copy(update=files)})


def _misshapen(layers: Layers) -> Iterator[Problem]:
    sections = ("server", "broker", "log", "traces", "plugins")
    for name, table in layers.values.items():
        if name not in sections:
            hint = did_you_mean(name, sections) or f"; known are {quoted(sections)}"
            yield Problem((name,), f"unknown table{hint}{layers.source((name,))}")
        elif not isinstance(table, dict):
            yield _no_table((name,), table, layers)
    plugins = layers.values.get("plugins")
    for name, table in plugins.items() if isinstance(plugins, dict) else ():
        if not isinstance(table, dict):
            yield _no_table(("plugins", name), table, layers)


def _no_table(path: tuple[str, ...], value: Any, layers: Layers) -> Problem:
    # What an array holds could be the secrets of the table that was meant.
    received = "an array" if isinstance(value, list) else shown(value)
    received = MASK if layers.origin(path).secret else received
    return Problem(path, f"expected a table; got {received}{layers.source(path)}")


S = TypeVar("S", bound=BaseModel)


def _section(model: type[S], name: str, layers: Layers) -> tuple[S, list[Problem]]:
    """Return the section; if it has problems, what is sound of it, for the checks that follow."""
    table = layers.values.get(name, {})
    if not isinstance(table, dict):
        return model(), []
    bound, problems = bind(model, table, at=(name,), layers=layers)
    if bound is not None:
        return bound, []
    broken = {problem.path[1] for problem in problems}
    sound = {key: value for key, value in table.items() if key not in broken}
    bound, _ = bind(model, sound, at=(name,), layers=layers)
    return bound or model(), problems


def _contradictions(config: Config) -> Iterator[Problem]:
    listed, layers = config.broker.plugins, config.layers
    for index, name in enumerate(listed):
        if name in listed[:index]:
            path = ("broker", "plugins", index)
            yield Problem(path, f"{shown(name)} is listed twice; remove one{layers.source(path)}")
    for index, name in enumerate(config.broker.disable):
        if name in listed:
            path = ("broker", "disable", index)
            source = layers.source(path)
            yield Problem(path, f"{shown(name)} is in broker.plugins too; remove one{source}")


def _only_for_development(config: Config) -> Iterator[Problem]:
    if config.server.tls == "dev" and config.broker.environment == "production":
        path = ("server", "tls")
        yield Problem(
            path,
            '"dev" is refused with broker.environment = "production"; name a certificate and its '
            f'key: {{ cert = "cert.pem", key = "key.pem" }}{config.layers.source(path)}',
        )


def _unmet_choice(config: Config) -> Iterator[Problem]:
    chosen = config.broker.storage
    if chosen is not None and chosen not in config.enabled:
        hint = did_you_mean(chosen, config.enabled) or "; add it to broker.plugins"
        path = ("broker", "storage")
        source = config.layers.source(path)
        yield Problem(path, f"{shown(chosen)} is not enabled{hint}{source}")


def development_warning(data_dir: Path) -> str:
    """Return what is said of `tls = "dev"`, on the screen and in the log alike."""
    trust = f"SSL_CERT_FILE={shlex.quote(str(data_dir / DEV_CERTIFICATE))}"
    reason = f'"dev" is a self-signed certificate, for development only; clients need {trust}'
    return str(Problem(("server", "tls"), reason))


def _warnings(config: Config) -> Iterator[str]:
    if config.server.tls == "dev":
        yield development_warning(config.broker.data_dir)
    for name in config.plugins:
        if name not in config.enabled and name not in FALLBACKS:
            hint = did_you_mean(name, config.enabled) or "; add it to broker.plugins"
            yield str(Problem(("plugins", name), f"the plugin is not enabled{hint}"))
