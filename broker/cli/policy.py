"""A queue's policy as command line options, one for each field of `QueuePolicy`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_type_hints

import click
from click.core import ParameterSource
from msgspec import inspect

from broker.cli.values import FieldValue
from broker.models import QueuePolicy


def policy_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command an option for each field of the policy, to be read by `given_policy`."""
    kinds = get_type_hints(QueuePolicy, include_extras=True)
    info = inspect.type_info(QueuePolicy)
    assert isinstance(info, inspect.StructType)
    for field in reversed(info.fields):
        value = FieldValue(kinds[field.name])
        default = "none" if field.default is None else str(field.default).lower()
        command = click.option(
            "--" + field.name.replace("_", "-"),
            field.name,
            type=value,
            metavar=value.name,
            help=f"{value.limits}; default {default}".removeprefix("; "),
        )(command)
    return command


def given_policy(options: dict[str, object]) -> dict[str, object]:
    """Return those of the options that stand on the command line; None may be one's value."""
    source = click.get_current_context().get_parameter_source
    return {
        name: value
        for name, value in options.items()
        if source(name) is not ParameterSource.DEFAULT
    }
