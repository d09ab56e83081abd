"""What tests of planted bugs share: a contract is run on a bug, and a test of it has to fail."""

import inspect
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from broker.testing import Contract


def failures(contract: type[Contract], name: str, tmp_path: Path, **given: Any) -> list[str]:
    """Return why the runs of a test of a contract fail, of those that do; all of them are `given`
    what pytest would find out.

    A run that is skipped neither fails nor passes, so a bug must not be looked for by it.
    """
    test = getattr(contract(), name)
    found = []
    for number, parameters in enumerate(_runs(test)):
        folder = tmp_path / f"{number}"
        folder.mkdir(parents=True)
        try:
            test(tmp_path=folder, **given, **parameters)
        # Whatever a test raises, it fails by it; but not because it hung until pytest ended it.
        except (Exception, pytest.fail.Exception) as failure:
            if "from pytest-timeout" in str(failure):
                raise
            found.append(f"{parameters}: {failure!r}")
    return found


def planted(base: type, *modules: ModuleType) -> set[type]:
    """Return the bugs of modules: the classes of a kind that nothing is derived from."""
    return {
        bug
        for module in modules
        for _, bug in inspect.getmembers(module, inspect.isclass)
        if issubclass(bug, base) and bug.__module__ == module.__name__ and not bug.__subclasses__()
    }


def _runs(test: Any) -> Iterator[dict[str, Any]]:
    """Yield the parameters of each run that pytest makes of a test."""
    marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize"]
    for values in product(*(mark.args[1] for mark in marks)):
        yield {
            mark.args[0]: getattr(value, "values", [value])[0]
            for mark, value in zip(marks, values, strict=True)
        }
