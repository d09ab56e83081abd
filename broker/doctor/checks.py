"""All checks, by the code that each finding has: `docs/operations.md` has the same table.

Most of what is found in a plugin can be mended only by its author, so there the remedy is what
somebody can do who merely uses it; the text of the finding is for the author.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

import msgspec

Part = Literal["installation", "plugins", "config", "roles", "safety", "providers"]


class Check(msgspec.Struct, frozen=True):
    """What a check looks at, and what to do when that is not as it should be."""

    part: Part
    looks_at: str
    remedy: str = ""
    """Empty for what only tells how things are. A finding may have a more precise one."""


_UNTIL_MENDED = "tell its author; until it is mended, remove it from `broker.plugins`"

CHECKS = MappingProxyType(
    {
        "version": Check("installation", "the versions of the core, of Python, the system"),
        "sqlite": Check("installation", "the version of SQLite that Python brings"),
        "metadata": Check(
            "installation",
            "whether the metadata of every distribution can be read",
            "install it again, or remove what is left of it",
        ),
        "entry-point-group": Check(
            "installation",
            "plugins in groups that only look like `broker.plugins`, which nothing reads",
            "install a version of it that is made for this broker, or tell its author",
        ),
        "core-version": Check(
            "installation",
            "whether plugins that are enabled are made for this version of the core",
            "install versions that fit together",
        ),
        "requirement": Check(
            "installation",
            "whether what the core and enabled plugins require is installed",
            "install what is named",
        ),
        "plugin": Check("plugins", "every plugin that is installed, and its hooks if enabled"),
        "not-installed": Check(
            "plugins",
            "whether what `broker.plugins` lists is installed",
            "install it, or remove it from `broker.plugins`",
        ),
        "duplicate": Check(
            "plugins",
            "whether two distributions bring plugins of one name",
            "uninstall one of them",
        ),
        "import": Check(
            "plugins",
            "whether an enabled plugin can be imported",
            f"install its distribution again, or {_UNTIL_MENDED}",
        ),
        "hooks": Check(
            "plugins",
            "its hooks: misspelt, unknown, without the right marker, with wrong arguments, failing",
            _UNTIL_MENDED,
        ),
        "plugin-config": Check(
            "config", "the table of each enabled plugin", "correct the key that is named"
        ),
        "config": Check(
            "config",
            "the config file, `[server]`, `[broker]`, and tables that belong to nobody",
            "correct the key that is named",
        ),
        "certificate": Check(
            "config", "the certificate of `server.tls`, and its key", "name files that fit"
        ),
        "anonymous": Check(
            "safety",
            "whether everybody on the network may do everything",
            "set `server.host` to a loopback address, or enable a plugin that authenticates "
            "and set `broker.anonymous = false`",
        ),
        "plain-http": Check(
            "safety",
            "whether those on the way can read what clients from other machines send",
            "set `server.tls`, or name the proxy that speaks TLS in `server.trusted_proxies`",
        ),
        "http-server": Check(
            "safety",
            "what speaks HTTP: whether it is installed, and made to face strangers",
            'set `server.http_server = "hypercorn"`',
        ),
        "short-secret": Check(
            "safety",
            "secrets of less than 32 bytes that sign: the fields `secret`, `…_secret`, "
            "`signing_key`, `hmac_key` (also in the plural) whose schema names no `min_length`",
            'take 32 random bytes: `python -c "import secrets; print(secrets.token_hex(32))"`',
        ),
        "literal-secret": Check(
            "safety",
            "secrets that stand in the config file itself",
            'refer to it, by `{ env = "NAME" }` or `{ file = "path" }`',
        ),
        "file-mode": Check(
            "safety",
            "whether others on this machine can change the config, the data directory or files "
            "in it, or read keys, databases, and files of secrets",
            "`chmod` it",
        ),
        "owner": Check(
            "safety",
            "whether it is root who looks at a data directory of somebody else",
            "run it as the user that runs the broker",
        ),
        "network-file-system": Check(
            "safety",
            "whether the data directory is on a network, where locks and syncs may not hold",
            "set `broker.data_dir` to a directory on a local disk",
        ),
        "role": Check("roles", "which plugins fill each role, in their order"),
        "no-storage": Check(
            "roles",
            "whether messages outlive the broker",
            "enable a plugin that provides a storage, `storage_sqlite` for example",
        ),
        "no-authenticator": Check(
            "roles",
            "whether anybody can be let in",
            "enable a plugin that authenticates, `auth_jwt` for example",
        ),
        "assembly": Check(
            "roles",
            "whether the plugins fit together: one storage, capabilities that transports need",
            "follow the line, or remove the plugin that it names from `broker.plugins`",
        ),
        "capabilities": Check(
            "roles", "what the storage declares, and which of it transports need"
        ),
        "provider": Check("providers", "what each provider takes to open, answer and close"),
        "provider-open": Check(
            "providers",
            "whether each provider opens in time",
            "see that what it needs is there and answers; `--timeout` gives it longer",
        ),
        "provider-ping": Check(
            "providers",
            "whether it says that it can work",
            "see that what it needs is there and answers",
        ),
        "provider-close": Check("providers", "whether it closes in time", _UNTIL_MENDED),
        "provider-log": Check("providers", "what it warns of meanwhile", "see what the line says"),
        "in-use": Check(
            "providers",
            "whether another process holds its lock or its port: a broker that runs, most likely",
            "nothing, if that is the broker in question; else stop it, or configure another place",
        ),
        "not-opened": Check(
            "providers",
            "what could not be tried, because something that it needs is not there",
            "mend what was found before, then run this again",
        ),
        "doctor": Check(
            "installation",
            "whether a check itself failed, which it never should",
            "report it as a bug of the broker",
        ),
    }
)
