"""Whose an address is, and which networks of proxies can be trusted."""

import pytest

from broker import address_key
from broker.addresses import read_address, read_proxies


@pytest.mark.parametrize(
    ("peer", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),  # mapped: the IPv4 address itself
        ("::FFFF:C000:201", "192.0.2.1"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),  # a zone is none of the address
        ("::ffff:192.0.2.1%1", "192.0.2.1"),
        # No addresses.
        ("<local>", "<local>"),
        ("", ""),
        ("unix:/run/broker.sock", "unix:/run/broker.sock"),
        ("192.0.2.01", "192.0.2.01"),
        ("192.0.2.1:80", "192.0.2.1:80"),
    ],
)
def test_one_customer_of_a_provider_has_one_key(peer, key):
    assert address_key(peer) == key


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("172.16.0.0/255.240.0.0", "172.16.0.0/12"),
        ("fc00::/7", "fc00::/7"),
        ("fd00::1", "fd00::1/128"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),  # mapped, as peers are
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
    ],
)
def test_proxies_are_an_address_or_a_network(text, network):
    assert str(read_proxies(text)) == network


NO_NETWORK = 'expected an address or a network, "10.0.0.0/8" for example'
TOO_LARGE = (
    "strangers in so large a network could pass for any address; name your proxies, or a network "
    'of your own, no larger than "{}"'
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10.0.0.0/33", NO_NETWORK),
        ("10.0.0.0/", NO_NETWORK),
        ("010.0.0.1", NO_NETWORK),
        ("everybody", NO_NETWORK),
        ("*", NO_NETWORK),
        ("", NO_NETWORK),
        ("10.0.0.1/8", 'expected "10.0.0.0/8", the network, or "10.0.0.1", the address'),
        ("fd00::1/8", 'expected "fd00::/8", the network, or "fd00::1", the address'),
        ("0.0.0.0/0", TOO_LARGE.format("10.0.0.0/8")),
        ("128.0.0.0/1", TOO_LARGE.format("10.0.0.0/8")),
        ("10.0.0.0/7", TOO_LARGE.format("10.0.0.0/8")),
        ("::ffff:0:0/96", TOO_LARGE.format("10.0.0.0/8")),
        ("::/0", TOO_LARGE.format("fc00::/7")),
        ("8000::/1", TOO_LARGE.format("fc00::/7")),
    ],
)
def test_what_cannot_be_trusted_is_refused_with_the_remedy(text, message):
    with pytest.raises(ValueError) as caught:
        read_proxies(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", ["fe80::1%eth0", "FE80:0::1", "fe80::1%"])
def test_an_address_is_read_without_its_zone(text):
    assert str(read_address(text)) == "fe80::1"
