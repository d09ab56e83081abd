"""The crowd that logs in: each from an address of its own, until one is refused."""

import asyncio
from urllib.parse import parse_qs

import httpx
import pytest

from bench.logins import Job, address, run


def test_everybody_has_an_address_of_this_machine():
    found = [address(number) for number in range(1000)]

    assert len(set(found)) == 1000
    assert (found[0], found[249], found[250]) == ("127.0.1.1", "127.0.1.250", "127.0.2.1")


async def test_users_log_in_from_their_addresses_until_one_is_refused(capsys):
    asked = []

    async def answer(reader, writer):
        peer, _ = writer.get_extra_info("peername")
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        form = parse_qs((await reader.readexactly(length)).decode())
        asked.append((peer, form["username"][0], form["password"][0]))
        # Each is let in once, on a connection that ends, and refused when he comes again.
        status = b"200 OK" if asked.count(asked[-1]) == 1 else b"429 Too Many Requests"
        writer.write(b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ExceptionGroup) as caught:
            await run(Job(port=port, users=["ann", "bob"], password="p&ss"))

    assert caught.group_contains(httpx.HTTPStatusError, match="429 Too Many Requests")
    assert {("127.0.1.1", "ann", "p&ss"), ("127.0.1.2", "bob", "p&ss")} >= set(asked)
    assert capsys.readouterr().out == "\n"
