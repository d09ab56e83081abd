"""What is checked of a plugin's hook implementations before any of them is called.

pluggy lets most of these pass and fails later, or never: it was tried.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pluggy

from broker import hookspecs
from broker.wording import did_you_mean, quoted, shown

Implementation = tuple[str, Callable[..., Any], bool]


def hook_names() -> tuple[str, ...]:
    """Return the names of all hooks, in the order in which they are specified."""
    marked = hookspecs.PROJECT + "_spec"
    return tuple(name for name, found in vars(hookspecs).items() if hasattr(found, marked))


def implementations(plugin: object, manager: pluggy.PluginManager) -> list[Implementation]:
    """Return hook, function and whether it is a wrapper, for everything marked in a plugin."""
    found = []
    for name in dir(plugin):
        options = manager.parse_hookimpl_opts(plugin, name)
        if options is not None:
            wrapper = bool(options.get("wrapper") or options.get("hookwrapper"))
            hook = options.get("specname") or name
            found.append((hook, getattr(plugin, name), wrapper))
    return found


def find_faults(plugin: object, manager: pluggy.PluginManager) -> list[str]:
    """Return what is wrong with a plugin's hooks, one line each, with the remedy."""
    found = implementations(plugin, manager)
    if not found:
        return ["implements no hook; mark its functions with @broker.hookimpl"]
    faults = list(_unmarked(plugin, found))
    hooks = [hook for hook, _, _ in found]
    for index, (hook, function, wrapper) in enumerate(found):
        if hook not in hook_names():
            hint = did_you_mean(hook, hook_names(), after="provide_")
            faults.append(f"unknown hook {shown(hook)}{hint}")
        elif hook in hooks[:index]:
            faults.append(f"implements hook {shown(hook)} twice; remove one")
        elif wrapper:
            faults.append(f"hook {shown(hook)} is a wrapper; return the object, wrap nothing")
        elif inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            faults.append(
                f"hook {shown(hook)} is async; make it a plain function, "
                "only the methods of what it returns are async"
            )
        else:
            faults += _wrong_arguments(hook, function)
    return faults


def _unmarked(plugin: object, found: list[Implementation]) -> Iterator[str]:
    functions = [function for _, function, _ in found]
    for name in hook_names():
        function = getattr(plugin, name, None)
        if inspect.isroutine(function) and function not in functions:
            yield f"function {shown(name)} is not marked; decorate it with @broker.hookimpl"


def _wrong_arguments(hook: str, function: Callable[..., Any]) -> Iterator[str]:
    given = list(inspect.signature(getattr(hookspecs, hook)).parameters)
    for argument in inspect.signature(function).parameters.values():
        name = shown(argument.name)
        if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD):
            yield f"hook {shown(hook)} takes {argument}, which stays empty; {_may_take(given)}"
        elif argument.kind is argument.KEYWORD_ONLY:
            yield f"hook {shown(hook)} has the keyword-only argument {name}; remove the *"
        elif argument.default is not argument.empty and argument.name in given:
            yield (
                f"hook {shown(hook)} gives its argument {name} a default, "
                "so it would never get a value; remove the default"
            )
        elif argument.default is argument.empty and argument.name not in given:
            hint = did_you_mean(argument.name, given) or f"; {_may_take(given)}"
            yield f"hook {shown(hook)} asks for the unknown argument {name}{hint}"


def _may_take(given: list[str]) -> str:
    return f"it may take {quoted(given)}" if given else "it takes no arguments"
