"""Whose an address is."""

import pytest

from broker import address_key


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
