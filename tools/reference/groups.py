"""In which order the public names are told, and with which others: by the module that has them."""

from __future__ import annotations

from typing import NamedTuple

KITS = ("broker", "broker.commands", "broker.testing")
"""The modules whose `__all__` is public; `broker.limits` and the fixtures are besides."""

FIXTURES = "broker.pytest_plugin"


class Group(NamedTuple):
    """Names that one reads together."""

    heading: str
    intro: str
    modules: tuple[str, ...]
    """Those that define the names; a package stands for all that is in it."""


GROUPS = (
    Group(
        "Plugins",
        "What every plugin has to do with. The hooks themselves are on [a page of their own]"
        "(hooks.md).",
        ("broker", "broker.hookspecs", "broker.context", "broker.meter", "broker.provider"),
    ),
    Group(
        "Providers",
        "What the hooks return. Their methods are told beside [the hooks](hooks.md).",
        (
            "broker.storage",
            "broker.ordered",
            "broker.auth",
            "broker.ratelimit",
            "broker.extend",
        ),
    ),
    Group(
        "The engine",
        "What a transport calls, and a program that embeds a broker.",
        (
            "broker.engine",
            "broker.operations.queues",
            "broker.operations.streams",
            "broker.operations.consuming",
            "broker.turn",
            "broker.logs.reading",
            "broker.status",
            "broker.app",
        ),
    ),
    Group(
        "Queues and messages",
        "Value objects: frozen, and the same for every transport and storage. Times are "
        "milliseconds UTC since 1970, durations seconds.",
        ("broker.models", "broker.receipts", "broker.limits"),
    ),
    Group(
        "HTTP",
        "What a transport's handlers take and return; there is no framework in it.",
        (
            "broker.http",
            "broker.description",
            "broker.media",
            "broker.problems",
            "broker.handshake",
        ),
    ),
    Group(
        "Answers that go on",
        "Streams, and Server-Sent Events as their most common form.",
        ("broker.stream", "broker.event_stream", "broker.audience"),
    ),
    Group(
        "Small things",
        "What more than one plugin needed.",
        ("broker.addresses", "broker.budget", "broker.durations", "broker.timestamps"),
    ),
    Group(
        "Errors",
        "One tree. A transport answers with the status, and tells the code; the command line ends "
        "with the exit code. `str(error)` is what a client reads.",
        ("broker.errors",),
    ),
    Group(
        "Commands",
        "`broker.commands`: what commands read and print alike. Importing it is light.",
        ("broker.commands",),
    ),
    Group(
        "The kit",
        "`broker.testing`, and the fixtures that pytest finds by itself: see [The kit](kit.md).",
        ("broker.testing",),
    ),
)


def group_of(module: str) -> Group | None:
    """Return the group that the names of a module belong to, None if none was chosen."""
    for group in GROUPS:
        for chosen in group.modules:
            if module == chosen or (chosen != "broker" and module.startswith(f"{chosen}.")):
                return group
    return None
