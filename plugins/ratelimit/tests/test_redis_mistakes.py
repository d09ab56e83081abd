"""A URL where no Redis will ever count ends the start; one where it may yet does not."""

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trustme
import valkeys
from valkeys import Sentinel

from broker import ConfigError
from broker_ratelimit.redis_counters import TAKE, TIMEOUT_SECONDS, RedisCounters

WRITING = 1 + TAKE.split('redis.call("SET"')[0].count("\n")
"""The line of the script that writes."""

NOT_REDIS = 'answers, but not as Redis or Valkey does (Protocol error, got "{}" as reply type byte)'
HTTP = b"HTTP/1.1 400 Bad Request\r\n\r\n"
WRONGPASS = "invalid username-password pair or user is disabled."
NO_CLUSTER = (
    "Redis Cluster cannot be connected. Please provide at least one reachable node: "
    "Cluster mode is not enabled on this node"
)


async def opening(url: str) -> None:
    counters = RedisCounters(url)
    try:
        await counters.open()
    finally:
        await counters.close()


async def refusal(url: str) -> str:
    """Return why no broker starts with this URL."""
    with pytest.raises(ConfigError) as refused:
        await opening(url)
    start, _, problem = str(refused.value).partition(" 127.0.0.1:")
    assert start == "plugins.ratelimit.url:"
    return problem.partition(" ")[2]


@asynccontextmanager
async def listening(converse, **options):
    """Listen with what is no Redis, and give its address."""

    async def connected(reader, writer):
        await converse(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, **options)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


def saying(answer):
    async def converse(reader, writer):
        await reader.read(1)
        writer.write(answer)

    return converse


async def greet(reader, writer):
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    await reader.read()


async def hang_up(reader, writer):
    pass


async def wait_for_a_head(reader, writer):
    with suppress(asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HTTP)


@pytest.mark.parametrize(
    ("url", "converse", "problem"),
    [
        ("redis://{}", saying(HTTP), NOT_REDIS.format("H")),
        ("redis://{}", saying(b"<!DOCTYPE html>"), NOT_REDIS.format("<")),
        ("redis://{}", greet, NOT_REDIS.format("S")),
        ("redis+cluster://{}", saying(HTTP), NOT_REDIS.format("H")),
        ("redis+sentinel://{}/service", saying(HTTP), NOT_REDIS.format("H")),
        (
            "redis://{}",
            saying(b"\x15\x03\x01\x00\x02\x02\x16"),
            r'speaks TLS: write rediss:// (Protocol error, got "\x15" as reply type byte)',
        ),
    ],
)
async def test_what_is_no_redis_ends_the_start(patience, url, converse, problem):
    async with listening(converse) as address:
        assert await refusal(url.format(address)) == problem


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
async def test_who_waits_for_a_whole_request_of_http_is_found_out(scheme):
    async with listening(wait_for_a_head) as address:
        problem = await refusal(f"{scheme}://{address}")
    assert problem == "answers, but not as Redis or Valkey does"


async def test_a_redis_that_waits_for_a_command_without_tls_is_found_out(valkey, patience):
    patience(TIMEOUT_SECONDS)

    assert await refusal(f"rediss://{valkey.address}") == "does not speak TLS: write redis://"


async def test_who_answers_tls_without_tls_is_found_out(patience):
    async with listening(saying(HTTP)) as address:
        problem = await refusal(f"rediss://{address}")
    assert problem.startswith("does not speak TLS: write redis:// ([SSL: WRONG_VERSION_NUMBER]")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        (
            "redis://:guess@{}",
            "refuses the user name or the password (AUTH <password> called without any password "
            "configured for the default user. Are you sure your configuration is correct?)",
        ),
        ("redis://joe:guess@{}", f"refuses the user name or the password ({WRONGPASS})"),
        ("redis://{}/99", "has no such database (DB index is out of range)"),
        ("redis+cluster://{}", f"is no cluster: write redis:// ({NO_CLUSTER})"),
    ],
)
async def test_what_this_server_never_does_ends_the_start(valkey, url, problem):
    assert await refusal(url.format(valkey.address)) == problem


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("redis://{}", "refuses the user name or the password (Authentication required.)"),
        ("redis://:guess@{}", f"refuses the user name or the password ({WRONGPASS})"),
        ("redis+cluster://:guess@{}", f"refuses the user name or the password ({WRONGPASS})"),
        (
            "redis://joe:pw@{}",
            "does not permit this user to count "
            "(User joe has no permissions to run the 'evalsha' command)",
        ),
        (
            "redis://amy:pw@{}",
            "does not permit this user to count "
            "(ACL failure in script: User amy has no permissions to run the 'set' command "
            f"script: on @user_script:{WRITING}.)",
        ),
    ],
)
async def test_a_user_who_may_not_count_ends_the_start(start_valkey, url, problem):
    valkey = start_valkey(password="secret")
    valkey.ask("ACL SETUSER", "joe", "on", ">pw", "+@read", "~*")
    valkey.ask("ACL SETUSER", "amy", "on", ">pw", "+@all", "-set", "~*")

    assert await refusal(url.format(valkey.address)) == problem


async def test_a_user_who_may_do_no_more_than_count_is_enough(start_valkey):
    valkey = start_valkey()
    commands = ["+evalsha", "+eval", "+time", "+get", "+set"]
    valkey.ask("ACL SETUSER", "amy", "on", ">pw", *commands, "~{replika-broker}:*")

    await opening(f"redis://amy:pw@{valkey.address}")


async def test_a_sentinel_that_does_not_know_the_service_ends_the_start(valkey, tmp_path: Path):
    with Sentinel(tmp_path, valkey) as sentinel:
        other = f"redis+sentinel://{sentinel.address}/other"
        assert await refusal(other) == 'knows no service "other"; known: service'
        assert (await refusal(f"redis://{sentinel.address}")).startswith("runs no scripts (")
        assert (await refusal(f"redis+sentinel://{valkey.address}/service")).startswith(
            "is no sentinel: write redis:// ("
        )


async def test_the_password_need_not_be_that_of_the_sentinels(start_valkey, tmp_path: Path):
    valkey = start_valkey(password="secret")
    with Sentinel(tmp_path, valkey) as sentinel:
        await opening(f"redis+sentinel://:secret@{sentinel.address}/service")
        guess = f"redis+sentinel://:guess@{sentinel.address}/service"
        assert await refusal(guess) == f"refuses the user name or the password ({WRONGPASS})"


async def test_a_node_of_a_cluster_is_no_server_of_its_own(start_valkey, tmp_path: Path):
    with valkeys.cluster(tmp_path, nodes=2) as servers:
        # The slots of the second half hold what is counted.
        assert (await refusal(servers[0].url)).startswith("is a node of a cluster: write redis+")


async def test_a_certificate_that_nobody_trusts_ends_the_start(valkey, tmp_path: Path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def pass_on(reader, writer):
        there, back = await asyncio.open_connection(valkeys.HOST, valkey.port)
        while request := await reader.read(65_536):
            back.write(request)
            writer.write(await there.read(65_536))
        back.close()

    async with listening(pass_on, ssl=context) as address:
        await opening(f"rediss://{address}?ssl_ca_certs={tmp_path / 'ca.pem'}")
        assert (await refusal(f"rediss://{address}")).startswith(
            "shows a certificate that is not trusted ("
        )


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:1",
        "redis://redis.invalid",
        "redis+unix:///there/is/none.sock",
        "redis+cluster://127.0.0.1:1,127.0.0.1:2",
        "redis+sentinel://127.0.0.1:1/service",
        "rediss://127.0.0.1:1",
    ],
)
async def test_where_nobody_answers_now_somebody_may_later(url):
    with pytest.raises(OSError):
        await opening(url)


async def test_who_hangs_up_may_answer_later():
    # So does a proxy whose Redis is away.
    async with listening(hang_up) as address:
        for scheme in ("redis", "rediss"):
            with pytest.raises(OSError):
                await opening(f"{scheme}://{address}")


async def test_a_service_whose_server_is_away_may_come_back(valkey, tmp_path: Path):
    with Sentinel(tmp_path, valkey) as sentinel:
        valkey.kill()
        sentinel.wait_for("+odown")
        with pytest.raises(OSError, match="^No master found for 'service'$"):
            await opening(sentinel.url)
