"""What a config may say, and the line that answers what it may not."""

import pytest
from broker_ratelimit.config import LOGIN, LimitConfig, RateLimitConfig

from broker import ACTIVITIES, ConfigError
from broker.assembly import assemble
from broker.config import make_config


def limits(**named):
    return RateLimitConfig(limits=named).all_limits


def test_by_default_only_logins_are_limited():
    assert limits() == {
        "login": LimitConfig(rate="10/minute", activities=("login",), key="address")
    }


def test_a_limit_of_that_name_replaces_the_default():
    mine = LimitConfig(rate="3/hour", activities=("login",), key="address")
    assert limits(login=mine) == {"login": mine}


def test_the_default_can_be_turned_off():
    assert limits(login=False) == {}


def test_a_limit_is_for_every_activity_of_an_identity_by_default():
    limit = LimitConfig(rate="1/second")
    assert (limit.activities, limit.queues, limit.key, limit.cost) == (
        ACTIVITIES,
        None,
        "identity",
        "requests",
    )


def refusal(tmp_path, table) -> str:
    """The line with which a broker with this table does not start, and its exit code is 78."""
    data = {
        "broker": {"plugins": ["memory", "ratelimit"], "data_dir": str(tmp_path)},
        "plugins": {"ratelimit": table},
    }
    with pytest.raises(ConfigError) as refused:
        assemble(make_config(data))
    assert refused.value.exit_code == 78
    return str(refused.value)


EXAMPLE = 'expected for example "10/minute", or "200/second; 5000/minute"'


@pytest.mark.parametrize(
    ("limit", "line"),
    [
        ({}, "rate: missing; expected a string"),
        ({"rate": ""}, f'rate: {EXAMPLE}; got ""'),
        ({"rate": 10}, "rate: expected a string; got 10"),
        ({"rate": "0/second"}, 'rate: expected an amount from 1 to 1000000000; got "0/second"'),
        (
            {"activities": ["pubish"]},
            'activities[0]: expected one of "publish", "consume", "settle", "read", "manage", '
            '"login"; got "pubish"; did you mean "publish"?',
        ),
        ({"activities": []}, "activities: expected an array, not empty; got []"),
        ({"activity": ["publish"]}, 'activity: unknown key; did you mean "activities"?'),
        ({"queues": []}, "queues: expected an array of strings, not empty; got []"),
        (
            {"queues": ["orders-*", ""]},
            r"queues[1]: expected a string that matches ^[A-Za-z0-9._*?\[\]!-]{1,255}$; "
            'got ""',
        ),
        (
            {"queues": ["a"], "activities": ["login"]},
            'queues: a login concerns no queue; leave this out, or limit something else; got ["a"]',
        ),
        (
            {"key": "adress"},
            'key: expected one of "identity", "address", "both"; got "adress"; '
            'did you mean "address"?',
        ),
        ({"cost": "bytes"}, 'cost: expected one of "requests", "messages"; got "bytes"'),
    ],
)
def test_a_limit_that_is_none_is_refused_and_its_key_named(tmp_path, limit, line):
    table = {"limits": {"publish": {"rate": "1/second", **limit} if limit else {}}}
    assert refusal(tmp_path, table) == f"config: plugins.ratelimit.limits.publish.{line}"


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ({"limit": {}}, 'limit: unknown key; did you mean "limits"?'),
        ({"limits": []}, "limits: expected a table; got []"),
        ({"limits": {"publish": True}}, "limits.publish: expected a table or false; got true"),
        (
            {"limits": {"publish": "10/second"}},
            'limits.publish: expected a table or false; got "10/second"',
        ),
        ({"limits": {"a b": False}}, 'limits."a b": expected a name of a-z 0-9 _ -; got false'),
        ({"limits": {"": False}}, 'limits."": expected a name of a-z 0-9 _ -; got false'),
        (
            {"limits": {"publish-60s": {"rate": "1/second"}}},
            'limits.publish-60s: a name that ends like "-60s" is that of one window of a limit; '
            'got {"rate": "1/second"}',
        ),
    ],
)
def test_a_table_that_is_none_is_refused_and_its_key_named(tmp_path, table, line):
    assert refusal(tmp_path, table) == f"config: plugins.ratelimit.{line}"


def test_the_limit_of_logins_is_among_those_that_take_effect():
    assert RateLimitConfig().limits == {"login": LOGIN}
    assert RateLimitConfig(limits={"login": False}).limits == {"login": False}
