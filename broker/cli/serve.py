"""`broker serve`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from broker.cli.options import DEFAULT_URL

if TYPE_CHECKING:
    from broker.assembly import Assembly
    from broker.config import Config


@click.command()
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="The config file; BROKER_CONFIG or broker.toml by default.",
)
@click.option("--host", help="Listen there instead of server.host.")
@click.option("--port", type=click.IntRange(0, 65535), help="Instead of server.port; 0: any.")
@click.option(
    "--server",
    "http_server",
    type=click.Choice(["hypercorn", "granian"]),
    help="What speaks HTTP, instead of server.http_server.",
)
@click.option("--insecure", is_flag=True, help="Let anonymous clients in from other machines.")
@click.option("--json", "as_json", is_flag=True, help="Print what was started as one JSON line.")
def serve(
    *,
    config_path: Path | None,
    host: str | None,
    port: int | None,
    http_server: str | None,
    insecure: bool,
    as_json: bool,
) -> None:
    """Run the broker until SIGTERM or Ctrl-C.

    Example: broker serve --config broker.toml --port 9000
    """
    from broker.loading import read_whole_config
    from broker.server import run_server

    given = {"host": host, "port": port, "http_server": http_server}
    server = {key: value for key, value in given.items() if value is not None}
    config = read_whole_config(config_path, overrides={"server": server})

    def started(assembly: Assembly, bound_port: int, notices: Sequence[str]) -> None:
        screen = {**_started(config, assembly, bound_port), "notices": list(notices)}
        # Nobody may be reading it; the broker serves all the same.
        with contextlib.suppress(BrokenPipeError):
            click.echo(_as_json(screen) if as_json else _as_text(screen))

    run_server(config, insecure=insecure, started=started)


def _started(config: Config, assembly: Assembly, port: int) -> dict[str, Any]:
    info = assembly.broker.info
    host = config.server.host
    scheme = "http" if config.server.tls is None else "https"
    url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    return {
        "url": url,
        "version": info.version,
        "config": str(config.path),
        "storage": info.storage,
        "durable": "durable" in info.capabilities,
        "detail": assembly.providers.storage[1].describe(),
        "plugins": [{"name": plugin.name, "version": plugin.version} for plugin in info.plugins],
        "anonymous": config.broker.anonymous,
        "login": any(
            route.path == "/login"
            for _, transport in assembly.transports
            for route in transport.routes()
        ),
        "warnings": [*assembly.warnings, *_overheard(config)],
        "environment": _environment(config, url),
    }


def _overheard(config: Config) -> Iterator[str]:
    """Warn of passwords that everybody on the way can read."""
    from broker.safety import is_loopback

    if config.server.tls is None and not is_loopback(config.server.host):
        yield (
            "plain HTTP: whoever is on the way can read passwords, tokens and messages; set "
            "server.tls, or let a proxy in front speak TLS"
        )


def _environment(config: Config, url: str) -> dict[str, str]:
    """Return what the commands of another terminal need to find the broker, and to trust it."""
    from broker.config import DEV_CERTIFICATE

    environment = {} if url == DEFAULT_URL else {"BROKER_URL": url}
    if config.server.tls == "dev":
        environment["SSL_CERT_FILE"] = str(config.broker.data_dir / DEV_CERTIFICATE)
    return environment


def _as_json(screen: dict[str, Any]) -> str:
    import msgspec

    return msgspec.json.encode(screen).decode()


def _as_text(screen: dict[str, Any]) -> str:
    url = screen["url"]
    plugins = ", ".join(f"{plugin['name']} {plugin['version']}" for plugin in screen["plugins"])
    access = "anonymous: everybody who reaches the address may do everything"
    lines = [
        f"Replika Broker {screen['version']} listens on {url}",
        "",
        f"  storage   {screen['storage']}: {screen['detail']}",
        f"  plugins   {plugins}",
        f"  config    {screen['config']}",
        f"  access    {access if screen['anonymous'] else 'credentials are demanded'}",
        *(f"  warning   {warning}" for warning in screen["warnings"]),
        *(f"  notice    {notice}" for notice in screen["notices"]),
        "",
        "Publish and consume a first message from another terminal:",
        "",
        *(f"  export {name}={value}" for name, value in screen["environment"].items()),
        *(["  broker login"] if screen["login"] and not screen["anonymous"] else []),
        "  broker publish hello 'first message' --create",
        "  broker consume hello",
        "",
        "Ctrl-C stops it.",
    ]
    return "\n".join(lines)
