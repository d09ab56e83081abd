"""What a new plugin is called, in each place where it has a name."""

from __future__ import annotations

import re

import msgspec

from broker.wording import shown

LONGEST_NAME = 40

_SHAPE = re.compile(r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*")
_PREFIX = "broker_"


class Naming(msgspec.Struct, frozen=True):
    """The names of a plugin, all made of that by which the config knows it, such as `rate_card`."""

    plugin: str

    @property
    def package(self) -> str:
        """The name of its Python package, `broker_rate_card`.

        The prefix keeps it apart from the standard library and from Python's keywords.
        """
        return _PREFIX + self.plugin

    @property
    def distribution(self) -> str:
        """The name by which pip knows it, `broker-rate-card`; that of its folder, too."""
        return self.package.replace("_", "-")

    @property
    def prefix(self) -> str:
        """What the names of its classes begin with, `RateCard`."""
        return "".join(part.capitalize() for part in self.plugin.split("_"))


def read_name(text: str) -> Naming:
    """Return the names of a plugin; dashes and underscores are the same.

    Raises ValueError, which says what a name is, for what is none.
    """
    if not _SHAPE.fullmatch(text) or len(text) > LONGEST_NAME:
        raise ValueError(
            f'expected a name like "rate-card", a letter and then a-z 0-9 - _, of at most '
            f"{LONGEST_NAME} characters; got {shown(text)}"
        )
    plugin = text.replace("-", "_")
    if plugin.startswith(_PREFIX):
        bare = text[len(_PREFIX) :]
        raise ValueError(f"its package begins with broker_ by itself; name it {shown(bare)}")
    return Naming(plugin)
