"""What a new plugin is called."""

import re

import pytest

from broker.scaffold.naming import LONGEST_NAME, read_name


@pytest.mark.parametrize(
    ("text", "plugin", "distribution", "prefix"),
    [
        ("acme", "acme", "broker-acme", "Acme"),
        ("rate-card", "rate_card", "broker-rate-card", "RateCard"),
        ("rate_card", "rate_card", "broker-rate-card", "RateCard"),
        ("s3", "s3", "broker-s3", "S3"),
        ("class", "class", "broker-class", "Class"),  # a keyword, but nothing is called so alone
        ("json", "json", "broker-json", "Json"),  # and a module of the standard library
    ],
)
def test_all_names_come_from_one(text, plugin, distribution, prefix):
    naming = read_name(text)

    assert naming.plugin == plugin
    assert naming.distribution == distribution
    assert naming.package == f"broker_{plugin}"
    assert naming.prefix == prefix
    assert f"{naming.prefix}Storage".isidentifier()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Acme",
        "1st",
        "a b",
        "a--b",
        "a_",
        "-a",
        "ä",
        "a.b",
        "../a",
        "a/b",
        "a\n",
        "a" * (LONGEST_NAME + 1),
    ],
)
def test_what_is_no_name_is_told_what_is(text):
    with pytest.raises(
        ValueError, match='^expected a name like "rate-card", a letter and then a-z'
    ):
        read_name(text)


@pytest.mark.parametrize(("text", "bare"), [("broker-acme", "acme"), ("broker_a_b", "a_b")])
def test_the_prefix_of_the_package_is_no_part_of_the_name(text, bare):
    with pytest.raises(ValueError, match=re.escape(f'by itself; name it "{bare}"')):
        read_name(text)
