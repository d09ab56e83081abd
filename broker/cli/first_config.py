"""The file that `broker config init` writes."""

from __future__ import annotations

from collections.abc import Collection

_HEAD = """\
# The config of a Replika Broker. "broker config check" checks it, "broker config show" shows it
# with all defaults. Every key may also come from the environment, BROKER__SERVER__PORT=8777 for
# example, and any value may be { env = "NAME" } or { file = "path" }.

[server]
host = "127.0.0.1"
port = 8777

# For HTTPS, a certificate and its key, or "dev" for one that is made to try it:
# tls = { cert = "cert.pem", key = "key.pem" }

[broker]
# The plugins that run, in the order in which they are asked. REST and logging are always on.
"""

_TABLES = {
    "storage_sqlite": """
[plugins.storage_sqlite]
path = "broker.db"
""",
    "auth_jwt": """
# Users and tokens: see "broker user --help", "broker token --help". The first start makes the user
# "admin" and shows its password, unless BROKER_ADMIN_PASSWORD holds one.
[plugins.auth_jwt]
database = "auth.db"
""",
    "ratelimit": """
# How much clients may ask in a time. Unless something else is said here, an address may try 10
# logins a minute, and all else is free.
[plugins.ratelimit]
# Where several brokers count together:
# url = "redis://127.0.0.1:6379"
""",
    "sse": """
# What happens, as it happens: GET /events, for browsers and programs.
[plugins.sse]
# Where several brokers tell together:
# redis_url = "redis://127.0.0.1:6379"
""",
    "graphql": """
# All of it in one endpoint, POST /graphql; events over Server-Sent Events or a WebSocket.
[plugins.graphql]
""",
}

FIRST_PLUGINS = tuple(_TABLES)
"""What is enabled where it is installed, in this order."""

EXAMPLE_LIMITS = """
[plugins.ratelimit.limits.login]
rate = "10/minute"
activities = ["login"]
key = "address"

# Looking at queues and messages, and changing queues. Each user and each token of a program has
# this much; with anonymous = true, each address.
[plugins.ratelimit.limits.general]
rate = "200/minute"
activities = ["read", "manage"]

# A request counts as one, however many messages are in it; cost = "messages" counts these.
[plugins.ratelimit.limits.publish]
rate = "200/second"
activities = ["publish"]

[plugins.ratelimit.limits.consume]
rate = "200/second"
activities = ["consume"]

[plugins.ratelimit.limits.settle]
rate = "200/second"
activities = ["settle"]
"""
"""Limits of everything, to start from."""


def first_config(installed: Collection[str], *, example: bool) -> str:
    """Return a config that works as it is with the plugins that are installed; with `example`, one
    that limits everything."""
    enabled = [name for name in FIRST_PLUGINS if name in installed]
    listed = ", ".join(f'"{name}"' for name in enabled)
    missing = [
        f"# Not installed: {name} ({remedy(name)}).\n"
        for name in FIRST_PLUGINS
        if name not in installed
    ]
    tables = [_TABLES[name] for name in enabled]
    limits = [EXAMPLE_LIMITS] if example else []
    return "".join([_HEAD, *missing, f"plugins = [{listed}]\n", *tables, *limits])


def remedy(name: str) -> str:
    """Return the command that installs one of the first plugins, and what else that takes."""
    needed = ", with cmake and a C++ compiler at hand" if name == "graphql" else ""
    return f"pip install replika-broker-{name.replace('_', '-')}{needed}"
