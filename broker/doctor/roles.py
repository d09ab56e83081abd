"""Putting together what works, and telling which plugin has which part in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from broker.alarm import alarm
from broker.assembly import Assembly, assemble
from broker.config import Config
from broker.doctor.finding import Finding, error, ok, warning
from broker.errors import PluginError, StartupError
from broker.loading import INSPECT_SECONDS, Attempt
from broker.wording import described, quoted


def put_together(
    config: Config, attempts: Sequence[Attempt]
) -> tuple[Assembly | None, list[Finding]]:
    """Return a broker of the enabled plugins that work, and what is wrong with the others; None
    if those do not fit together."""
    findings: list[Finding] = []
    config = _without(config, [a.record.name for a in attempts if a.plugin is None or a.findings])
    while True:
        try:
            with alarm(INSPECT_SECONDS):
                return assemble(config), findings
        except PluginError as failure:
            findings.append(error("assembly", failure.plugin, str(failure)))
            if failure.plugin not in config.enabled:
                return None, findings
            config = _without(config, [failure.plugin])
        except StartupError as failure:
            problem = error("assembly", "broker", str(failure), exit_code=failure.exit_code)
            return None, [*findings, problem]
        except KeyboardInterrupt:
            raise
        # An isolation point: what plugins return can make anything fail.
        except BaseException as failure:  # noqa: BLE001  # see above
            return None, [*findings, error("assembly", "broker", described(failure))]


def look_at_roles(config: Config, assembly: Assembly) -> Iterator[Finding]:
    """Tell who fills each role, and what happens where nobody does."""
    providers = assembly.providers
    name, storage = providers.storage
    if name in config.enabled:
        yield ok("role", "storage", name)
    else:
        text = "no plugin that works provides one: messages are gone when the broker stops"
        yield warning("no-storage", "storage", text)
    yield ok("capabilities", name, f"declares {quoted(sorted(storage.capabilities)) or 'none'}")
    for transport_name, transport in assembly.transports:
        if transport.requires:
            needed = quoted(sorted(transport.requires))
            yield ok("capabilities", transport_name, f"needs {needed}, which {name} declares")
    limiter = "nobody: nothing is limited" if providers.limiter is None else providers.limiter[0]
    yield ok("role", "rate limiter", limiter)
    yield from _authenticators(config, [name for name, _ in providers.authenticators])
    authorizer = providers.authorizer[0]
    fallback = "" if authorizer in config.enabled else ": the scopes of identities decide"
    yield ok("role", "authorizer", f"{authorizer}{fallback}")
    for role, filled in (
        ("interceptors", providers.interceptors),
        ("observers", providers.observers),
        ("lifespans", assembly.lifespans),
        ("transports", assembly.transports),
    ):
        yield ok("role", role, ", ".join(name for name, _ in filled) or "none")


def _authenticators(config: Config, names: Sequence[str]) -> Iterator[Finding]:
    if names:
        rest = ", then everybody as anonymous" if config.broker.anonymous else ""
        yield ok("role", "authenticators", f"{', '.join(names)}{rest}")
    elif config.broker.anonymous:
        yield ok("role", "authenticators", "nobody: everybody is let in, and may do everything")
    else:
        text = "no plugin that works, and broker.anonymous is false: every request is answered 401"
        yield warning("no-authenticator", "authenticators", text)


def _without(config: Config, names: Sequence[str]) -> Config:
    """Return the config as if these plugins were not enabled."""
    broker = config.broker
    kept = tuple(name for name in broker.plugins if name not in names)
    update = {
        "plugins": kept,
        "disable": (*broker.disable, *(n for n in names if n not in broker.plugins)),
        "storage": None if broker.storage in names else broker.storage,
    }
    tables = {name: table for name, table in config.plugins.items() if name not in names}
    return msgspec.structs.replace(config, broker=broker.model_copy(update=update), plugins=tables)
