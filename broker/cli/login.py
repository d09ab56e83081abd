"""`broker login`, `broker logout`: as whom the other commands work with a broker."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import click

from broker.cli.options import url_option
from broker.commands import json_option, print_json, read_password, remark
from broker.errors import BrokerError

if TYPE_CHECKING:
    from broker.cli.client import Client
    from broker.cli.tokens import TokenFile, Tokens


@click.command()
@click.argument("user", required=False)
@url_option
@json_option
def login(*, user: str | None, url: str, as_json: bool) -> None:
    """Log in at a broker as USER, for all commands of this account on this machine.

    The password is asked for, or read from the first line of stdin if that is no terminal. What
    the broker gives for it is kept where only you can read it, and renewed by the commands that
    use it; BROKER_TOKEN, where it is set, wins.

    Example: broker login anna --url https://broker.example
    """
    from broker.cli.client import Client  # imports httpx
    from broker.cli.tokens import TokenFile

    with Client(url) as client:
        if client.has_password:
            raise click.UsageError("--url or BROKER_URL: leave out the password to log in")
        if client.is_overheard:
            remark(f"warning: {client.url} is plain http, so others may read the password")
        name, password = _credentials(user)
        tokens = _ask_for_tokens(client, name, password)
        file = TokenFile(client.url)
        with file.locked():
            file.write(tokens)
    remark(f"logged in at {client.url} as {name}")
    if os.environ.get("BROKER_TOKEN", "").strip():
        remark("BROKER_TOKEN is set, too, and wins: unset it to work with this login")
    if as_json:
        print_json({"url": client.url, "user": name})


@click.command()
@url_option
@json_option
def logout(*, url: str, as_json: bool) -> None:
    """End the login at a broker, there and here.

    It is removed here also when the broker cannot be reached.

    Example: broker logout --url https://broker.example
    """
    from broker.cli.client import Client  # imports httpx
    from broker.cli.tokens import TokenFile

    with Client(url) as client:
        file = TokenFile(client.url)
        if (tokens := file.read()) is not None:
            try:
                _end(client, file, tokens)
            finally:
                with file.locked():
                    file.remove()
    user = None if tokens is None else tokens.user
    remark(f"logged {user} out at {client.url}" if user else f"nobody is logged in at {client.url}")
    if as_json:
        print_json({"url": client.url, "user": user})


def _credentials(user: str | None) -> tuple[str, str]:
    """Return the name and the password of a person, or of a program that writes to stdin."""
    if not user:
        if not sys.stdin.isatty():
            raise click.UsageError("name the USER: without a terminal, stdin is the password")
        user = click.prompt("User", err=True)
    return user, read_password()


def _ask_for_tokens(client: Client, name: str, password: str) -> Tokens:
    from broker.cli.client import NotAllowed, Problem, Refused
    from broker.cli.session import Issued

    asked_at = time.time()
    form = {"grant_type": "password", "username": name, "password": password}
    response = client.call("POST", "/login", form=form, accept=(401, 404))
    if response.status_code == 401:  # noqa: PLR2004  # whose number is its name
        raise NotAllowed(client.problem_of(response))
    if response.is_error:
        remedy = "a plugin does that, auth_jwt for example"
        raise Refused(Problem(f"the broker at {client.url} lets nobody log in; {remedy}"))
    issued: Issued = client.decode(response, Issued)
    return issued.tokens(name, asked_at=asked_at)


def _end(client: Client, file: TokenFile, tokens: Tokens) -> None:
    """End a login at the broker; one that is over already is no error."""
    from broker.cli.client import NotAllowed
    from broker.cli.session import Session

    client.log_in(Session(client, file, tokens))
    try:
        client.call("POST", "/logout")
    except NotAllowed:
        return
    except BrokerError:
        remark("the login is removed here only; at the broker it lasts until it expires")
        raise
