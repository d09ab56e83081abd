"""A queue's policy as options, generated from its fields."""

import click
import msgspec
import pytest
from click.testing import CliRunner

from broker.cli.policy import given_policy, policy_options
from broker.models import QueuePolicy


def given(*args):
    """Return what a command with the policy's options gets, or the text of its complaint."""
    seen = []

    @click.command()
    @policy_options
    def command(**policy):
        seen.append(given_policy(policy))

    done = CliRunner().invoke(command, args)
    return seen[0] if done.exit_code == 0 else done.stderr


def test_every_field_of_the_policy_has_an_option():
    @policy_options
    def command(**policy):
        pass

    options = [name for option in click.command()(command).params for name in option.opts]

    fields = [field.name for field in msgspec.structs.fields(QueuePolicy)]
    assert options == ["--" + name.replace("_", "-") for name in fields]


def test_only_what_is_given_is_passed_on():
    assert given() == {}
    assert given("--lease-seconds", "60", "--default-ttl", "none") == {
        "lease_seconds": 60,
        "default_ttl": None,
    }


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        ("lease-seconds", "1", 1),
        ("max-deliveries", "none", None),
        ("retry-base", "0.5", 0.5),
        ("jitter", "1", 1.0),
        ("dead-letter-queue", "a.dead", "a.dead"),
        ("dead-letter-queue", "none", None),
        ("overflow", "drop_oldest", "drop_oldest"),
        ("paused", "true", True),
        ("paused", "false", False),
    ],
)
def test_a_value_is_what_the_field_holds(option, text, value):
    assert given(f"--{option}", text) == {option.replace("-", "_"): value}


@pytest.mark.parametrize(
    ("option", "text", "complaint"),
    [
        ("lease-seconds", "0", "expected NUMBER, 1 to 43200; got '0'"),
        ("lease-seconds", "1.5", "expected NUMBER, 1 to 43200; got '1.5'"),
        ("lease-seconds", "none", "expected NUMBER, 1 to 43200; got 'none'"),
        ("max-messages", "-1", "expected NUMBER|none, 1 or more; got '-1'"),
        ("default-delay", "nan", "expected NUMBER, 0 to 31622400; got 'nan'"),
        ("default-delay", "inf", "expected NUMBER, 0 to 31622400; got 'inf'"),
        ("overflow", "explode", "expected drop_oldest|reject; got 'explode'"),
        ("paused", "maybe", "expected true|false; got 'maybe'"),
        ("dead-letter-queue", "../x", "expected QUEUE|none; got '../x'"),
    ],
)
def test_a_value_that_the_field_cannot_hold_is_refused_with_what_it_can(option, text, complaint):
    assert given(f"--{option}", text).endswith(
        f"Error: Invalid value for '--{option}': {complaint}\n"
    )
