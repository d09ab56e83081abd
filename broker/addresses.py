"""Addresses, and the networks that they are in."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

CUSTOMER_BITS = 64
"""How much of an IPv6 address is a customer's; the rest is the customer's own to choose."""

_MAPPED = IPv6Network("::ffff:0:0/96")
_LARGEST: dict[int, Network] = {4: IPv4Network("10.0.0.0/8"), 6: IPv6Network("fc00::/7")}
"""The largest networks that are set apart for one's own use (RFC 1918, RFC 4193)."""


@lru_cache(maxsize=4096)
def address_key(peer: str) -> str:
    """Return what one customer of a provider has: an IPv4 address, or the /64 of an IPv6 one.

    An IPv4 address that is mapped into IPv6 is the IPv4 address. What is no address, such as that
    of a socket in the file system, stays as it is.
    """
    address = read_address(peer)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, CUSTOMER_BITS), strict=False))
    return peer if address is None else str(address)


def read_address(text: str) -> Address | None:
    """Return the address without its zone, the IPv4 one for one that is mapped into IPv6; None
    for what is no address."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def read_proxies(text: str) -> Network:
    """Return the network of proxies that are trusted, which may be a single address.

    Raises ValueError, which says what is wrong with it.
    """
    try:
        interface, network = ip_interface(text), ip_network(text, strict=False)
    except ValueError as error:
        raise ValueError('expected an address or a network, "10.0.0.0/8" for example') from error
    if interface.ip != network.network_address:
        raise ValueError(f'expected "{network}", the network, or "{interface.ip}", the address')
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        # What is mapped into IPv6 is the IPv4 address here, so that network would hold nobody.
        address = int(network.network_address) & 0xFFFF_FFFF
        network = IPv4Network((address, network.prefixlen - _MAPPED.prefixlen))
    largest = _LARGEST[network.version]
    if network.prefixlen < largest.prefixlen:
        raise ValueError(
            "strangers in so large a network could pass for any address; name your proxies, or a "
            f'network of your own, no larger than "{largest}"'
        )
    return network
