"""docs/hooks.md: what a plugin can implement, and what it returns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tools.reference import signatures
from tools.reference.definitions import ROOT, Definition, Function, find, functions, is_marked
from tools.reference.markdown import NOTE, code, page, prose, table
from tools.reference.members import members
from tools.reference.names import public, section, told

EXAMPLES = ROOT / "tools" / "reference" / "examples"


class Fate(NamedTuple):
    """What the core does with a hook."""

    answers: str
    """How many plugins may answer."""
    called: str
    """When it is called."""
    becomes: str
    """What becomes of the answer."""
    returns: str | None = None
    """The class of the provider that it returns, if it is one of the core's."""


ASSEMBLED = "while the broker is assembled, before anything is opened"
BUILT = "when the engine is built, before anything is opened"

FATES = {
    "config_schema": Fate(
        "one for each plugin",
        "after the plugin was imported and its hooks were checked",
        "what validates `[plugins.<name>]`; the instance is `plugin.config`",
    ),
    "register_commands": Fate(
        "all",
        "when `broker` gets a command that the core does not have, and by `broker plugins`",
        "`broker <command> …`",
    ),
    "provide_storage": Fate(
        "one wins, `broker.storage` chooses among several; none: memory, with a warning",
        ASSEMBLED,
        "where messages are kept",
        "Storage",
    ),
    "provide_rate_limiter": Fate(
        "at most one; none: everything is free",
        ASSEMBLED,
        "spend: how much may still be asked",
        "RateLimiter",
    ),
    "provide_authenticator": Fate(
        "all, in order",
        ASSEMBLED,
        "identify: who asks",
        "Authenticator",
    ),
    "provide_authorizer": Fate(
        "at most one; none: scopes",
        ASSEMBLED,
        "permit: who may do what",
        "Authorizer",
    ),
    "provide_interceptor": Fate(
        "all, in order",
        ASSEMBLED,
        "what validates or transforms a batch before it is published",
        "Interceptor",
    ),
    "provide_observer": Fate(
        "all, each for itself",
        ASSEMBLED,
        "who is told what happened",
        "Observer",
    ),
    "provide_transport": Fate(
        "all",
        BUILT,
        "a way in and out for clients",
        "Transport",
    ),
    "provide_lifespan": Fate(
        "all",
        BUILT,
        "background work, begun when the providers are open, ended before they close",
    ),
}

ARGUMENTS = {
    "plugin": "what this plugin is given, the same object for all of its hooks: a "
    "[`PluginContext`](#plugincontext).",
    "broker": "the engine, a [`Broker`](api.md#broker). It is built and not open yet: keep it, and "
    "call it once you are opened or asked.",
    "cli": "a `click.Group`; each command that is added to it is one of `broker`.",
}

PROVIDERS = {fate.returns: hook for hook, fate in FATES.items() if fate.returns is not None}

INTRO = """\
A plugin is a module that an entry point in the group `broker.plugins` names. It implements any of
ten hooks, and has nothing else in it:

```python
from broker import PluginContext, hookimpl
from broker_storage_acme.config import AcmeConfig
from broker_storage_acme.storage import AcmeStorage


@hookimpl
def config_schema():
    return AcmeConfig


@hookimpl
def provide_storage(plugin: PluginContext):
    return AcmeStorage(plugin.config, plugin.clock)
```

Hooks assemble, objects run: each is called while the broker is assembled and none while it serves.
So all of them are plain functions, which construct something cheaply and open nothing; the methods
of what they return are async and do the work. A hook takes the arguments that it wants, by their
names. What it raises stops the start with one line that names the plugin; one that has nothing to
provide, with this config, returns None.

Providers are opened in the order storage, rate limiter, authenticators, authorizer, interceptors,
observers, lifespans, transports, and closed in reverse. Within a role the order is that of
`broker.plugins`."""


def write() -> str:
    """Return the page."""
    return page(["# Hooks", NOTE, INTRO, _overview(), *_hooks(), *_shared()])


def hooks() -> dict[str, Definition]:
    """Return the hooks, in the order in which they are specified."""
    found = functions("broker.hookspecs")
    return {one.name: one for one in found if is_marked(one.node, "hookspec")}


def arguments(hook: Definition) -> list[str]:
    """Return the names of a hook's arguments."""
    assert isinstance(hook.node, Function)
    return [argument.arg for argument in hook.node.args.args]


def example(hook: str) -> str:
    """Return a plugin that implements the hook and works."""
    return (EXAMPLES / f"{hook}.py").read_text()


def _overview() -> str:
    rows = [(f"[`{hook}`](#{hook})", FATES[hook].answers, FATES[hook].becomes) for hook in hooks()]
    return table(["hook", "how many may answer", "becomes"], rows)


def _hooks() -> Iterator[str]:
    for name, hook in hooks().items():
        assert isinstance(hook.node, Function)
        fate = FATES[name]
        yield f"## `{name}`"
        yield code(signatures.function(hook.node))
        yield prose(hook.doc or "")
        told_of = [
            f"- How many may answer: {fate.answers}.",
            f"- Called: {fate.called}.",
            f"- Becomes: {fate.becomes}.",
            *(f"- `{argument}`: {ARGUMENTS[argument]}" for argument in arguments(hook)),
        ]
        yield "\n".join(told_of)
        yield code(example(name))
        if fate.returns is not None:
            yield from _provider(fate.returns)


def _provider(name: str) -> Iterator[str]:
    known = public()
    definition = known[name]
    yield f"### `{name}`"
    yield prose(definition.doc or "")
    yield from told(members(definition, known))


def _shared() -> Iterator[str]:
    known = public()
    for name, intro in {
        "Provider": "What all providers have in common; override what matters.",
        "PluginContext": "Every hook that takes `plugin` gets it.",
    }.items():
        yield f"## `{name}`"
        yield intro
        yield from section(name, find("broker", name), known)
