"""Whose an address is."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

CUSTOMER_BITS = 64
"""How much of an IPv6 address is a customer's; the rest is the customer's own to choose."""


@lru_cache(maxsize=4096)
def address_key(peer: str) -> str:
    """Return what one customer of a provider has: an IPv4 address, or the /64 of an IPv6 one.

    An IPv4 address that is mapped into IPv6 is the IPv4 address. What is no address, such as that
    of a socket in the file system, stays as it is.
    """
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, CUSTOMER_BITS), strict=False))
