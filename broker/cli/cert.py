"""`broker cert`: a certificate to try HTTPS with."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from broker.commands import json_option, print_json
from broker.timestamps import timestamp

_USE = """
A broker whose data_dir this is shows it with

  [server]
  tls = "dev"

and clients on this machine trust it with

  SSL_CERT_FILE={trusted} broker queue list --url https://localhost:8777
  curl --cacert {trusted} https://localhost:8777/healthz"""


@click.group()
def cert() -> None:
    """Make a certificate to try HTTPS."""


@cert.command()
@click.option(
    "--directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    show_default="the current one",
    metavar="PATH",
    help="Where the files are: for the broker, broker.data_dir.",
)
@click.option("--force", is_flag=True, help="Replace a certificate that lasts.")
@json_option
def dev(*, directory: Path, force: bool, as_json: bool) -> None:
    """Make a self-signed certificate for localhost, or keep the one that is there.

    Example: broker cert dev --directory /srv/broker
    """
    from broker.serving.development import find_or_make, own_names  # imports the config library

    made = find_or_make(directory, force=force)
    chain, key = made.files.chain.absolute(), made.files.key.absolute()
    if as_json:
        expires_at = timestamp(round(made.expires_at.timestamp() * 1000))
        facts = {"cert": str(chain), "key": str(key), "expires_at": expires_at}
        print_json({**facts, "made": made.is_new})
        return
    did = "made" if made.is_new else "kept"
    trusted = shlex.quote(str(chain))
    click.echo(f"{did} {chain}, for {', '.join(own_names())}, until {made.expires_at:%Y-%m-%d}")
    click.echo(f"{did} {key}")
    click.echo(_USE.format(trusted=trusted))
